# SPDX-License-Identifier: Apache-2.0
target_sources(unit_tests PRIVATE
  cgroup_names_test.cpp
  closing_test.cpp
  counting_test.cpp
  counts_test.cpp
  csv_test.cpp
  derive_test.cpp
  episodes_test.cpp
  fields_test.cpp
  filter_test.cpp
  json_test.cpp
  text_test.cpp
  waterfall_test.cpp
  watch_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_model listenq_view_csv listenq_view_json
                                         listenq_view_text)
