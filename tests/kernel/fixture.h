// SPDX-License-Identifier: Apache-2.0
// What every kernel test starts with: it needs root, and those that run once a backend need the
// kernel to have it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tool.h"

namespace lqtest {

class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  }
};

// Parameter: "iter", "diag" or "auto".
class BackendTest : public KernelTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) return;
    const std::string reason = why_not(GetParam());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  // Does this backend read inside the socket? Automatic choice takes the better one.
  static bool sees_syn_queue() {
    return GetParam() == "iter" || (GetParam() == "auto" && why_not("iter").empty());
  }
};

// Where it matters that the automatic choice shows the same, and where one per way of reading does.
inline auto with_automatic_choice() {
  return ::testing::Values("iter", "diag", "auto");
}
inline auto backends() {
  return ::testing::Values("iter", "diag");
}
inline std::string backend_name(const ::testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace lqtest
