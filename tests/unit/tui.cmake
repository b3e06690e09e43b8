# SPDX-License-Identifier: Apache-2.0
target_sources(unit_tests PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/tui_canvas_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_detail_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_keys_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_looks_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_pages_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_screen_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_settings_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_terminal_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tui_world.cpp)
target_link_libraries(unit_tests PRIVATE listenq_view_tui)
