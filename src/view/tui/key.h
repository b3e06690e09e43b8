// SPDX-License-Identifier: Apache-2.0
//
// A key press as the screen understands it. Terminal makes them from input, tests by hand.
#pragma once

#include <cstdint>

namespace listenq::tui {

enum class KeyCode : std::uint8_t {
  character,  ///< Key::value is the code point; control keys too (Ctrl-L is 12)
  function,   ///< Key::value is the number: 1 is F1
  up,
  down,
  left,
  right,
  page_up,
  page_down,
  home,
  end,
  enter,
  escape,
  backspace,
  del,
  insert,
  mouse,  ///< Key::mouse happened at Key::row, Key::column
};

enum class Mouse : std::uint8_t { click, double_click, wheel_up, wheel_down };

struct Key {
  KeyCode code = KeyCode::character;
  char32_t value = 0;
  Mouse mouse = Mouse::click;
  int row = 0;  ///< of the screen, from 0
  int column = 0;
};

}  // namespace listenq::tui
