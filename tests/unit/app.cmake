# SPDX-License-Identifier: Apache-2.0
#
# What is between the collector and the views; the program on a terminal.
target_sources(unit_tests PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/exporter_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/playing_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/screen_run_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sampler_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/wanted_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_app)
