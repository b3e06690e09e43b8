# SPDX-License-Identifier: Apache-2.0
target_sources(unit_tests PRIVATE accept_test.cpp exposition_test.cpp ledger_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_export)
