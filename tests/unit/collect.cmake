# SPDX-License-Identifier: Apache-2.0
target_sources(unit_tests PRIVATE close_up_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_collect)
