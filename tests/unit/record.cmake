# SPDX-License-Identifier: Apache-2.0
#
# Recordings.
target_sources(unit_tests PRIVATE
  record_hostile_test.cpp record_samples.cpp record_test.cpp sample_text.cpp)
target_link_libraries(unit_tests PRIVATE listenq_record nlohmann_json::nlohmann_json fmt::fmt)
