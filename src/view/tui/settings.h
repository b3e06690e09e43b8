// SPDX-License-Identifier: Apache-2.0
//
// What the user chose on the screen, kept for the next time: $XDG_CONFIG_HOME/listenq-top/
// screen.conf, lines of key=value. Read when the screen opens, written when something was chosen.
#pragma once

#include <string>
#include <vector>

#include "util/result.h"

namespace listenq::tui {

/// Only the columns: a screen opened in an emergency shows what it always shows, the worst on top
/// and nothing hidden.
struct Settings {
  std::vector<std::string> columns;  ///< as find_column() knows them; empty: those that fit
  bool operator==(const Settings&) const = default;
};

/// The directory that the file is in, from XDG_CONFIG_HOME, else HOME; empty: neither is set to an
/// absolute path.
[[nodiscard]] std::string settings_directory();

/// No file, or no directory: the defaults. Keys that this version does not know and values that are
/// none are passed over; an error only for a file that can't be read or is none of ours, and then
/// it says so in a sentence.
[[nodiscard]] Result<Settings> load_settings(const std::string& directory);

/// Replaces the file as a whole; makes the directory where it is missing. A file that
/// load_settings() refuses is left alone, and an error.
[[nodiscard]] Result<void> save_settings(const std::string& directory, const Settings& settings);

}  // namespace listenq::tui
