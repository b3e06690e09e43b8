# SPDX-License-Identifier: Apache-2.0
target_sources(unit_tests PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/cgroup_names_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/csv_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/derive_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fields_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/filter_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/json_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/text_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/watch_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_model listenq_view_csv listenq_view_json
                                         listenq_view_text)
