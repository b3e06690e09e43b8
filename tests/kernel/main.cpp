// SPDX-License-Identifier: Apache-2.0
// Kernel tests of listenq-top: they make listeners of every kind in network namespaces of their
// own, run the tool as a program and compare what it prints with ss and with what they made. They
// need root; nothing outside their namespaces is touched.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "counters.h"
#include "netns.h"
#include "process.h"
#include "tool.h"
#include "world.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  if (!std::filesystem::exists(lqtest::tool_path())) {
    std::fprintf(stderr, "kernel_tests: no %s; set LISTENQ_TOP\n", lqtest::tool_path().c_str());
    return 2;
  }
  if (::geteuid() != 0) {
    // Reported test by test, so that whoever counts sees what was left out.
    return RUN_ALL_TESTS();
  }
  lqtest::start_janitor();
  const int status = RUN_ALL_TESTS();
  lqtest::end_counters();
  lqtest::end_world();
  lqtest::finish_janitor();
  return status;
}
