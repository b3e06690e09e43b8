# SPDX-License-Identifier: Apache-2.0
#
# Recordings, and what the views make of them. The golden tests also run the program.
target_sources(unit_tests PRIVATE
  golden_test.cpp record_hostile_test.cpp record_samples.cpp record_test.cpp sample_text.cpp)
target_link_libraries(unit_tests PRIVATE
  listenq_record listenq_stories listenq_view_csv listenq_view_json listenq_view_text
  listenq_view_tui nlohmann_json::nlohmann_json fmt::fmt-header-only)
add_dependencies(unit_tests listenq-top)
