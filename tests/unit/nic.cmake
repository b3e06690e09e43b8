# SPDX-License-Identifier: Apache-2.0
target_sources(unit_tests PRIVATE interfaces_test.cpp nat_test.cpp netlink_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_nic)
