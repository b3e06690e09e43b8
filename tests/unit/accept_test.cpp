// SPDX-License-Identifier: Apache-2.0
#include "export/accept.h"

#include <gtest/gtest.h>

namespace listenq {
namespace {

TEST(Accept, TextUnlessAskedOtherwise) {
  for (const char* accept :
       {"", "*/*", "text/plain", "text/plain;version=0.0.4", "text/html,*/*;q=0.8", "nonsense",
        ";;;,,,q=", "application/openmetrics-text;version=2.0.0,*/*;q=0.1",
        "application/openmetrics-text;q=0", "application/openmetrics-text;q=nan"}) {
    EXPECT_EQ(wanted_format(accept), ExpositionFormat::text) << accept;
  }
}

constexpr const char* kPrometheus =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

TEST(Accept, OpenMetricsAsPrometheusAsksForIt) {
  for (const char* accept :
       {"application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8", kPrometheus,
        "application/openmetrics-text; version=\"1.0.0\"; q=0.8, text/plain; q=0.2",
        "APPLICATION/OpenMetrics-Text;Q=0.3,text/*;q=0.1"}) {
    EXPECT_EQ(wanted_format(accept), ExpositionFormat::openmetrics) << accept;
  }
}

TEST(Accept, TheWeightDecides) {
  EXPECT_EQ(wanted_format("application/openmetrics-text;q=0.4,text/plain;q=0.5"),
            ExpositionFormat::text);
  EXPECT_EQ(wanted_format("text/plain;version=0.0.4;q=0.2,*/*;q=0.9,"
                          "application/openmetrics-text;q=0.3"),
            ExpositionFormat::openmetrics);
}

}  // namespace
}  // namespace listenq
