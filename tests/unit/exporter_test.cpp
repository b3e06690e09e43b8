// SPDX-License-Identifier: Apache-2.0
//
// The pages of `serve`, by path and by how old the newest sample is.
#include "app/exporter.h"

#include <gtest/gtest.h>

#include <string>

#include "made_up.h"

namespace listenq {
namespace {

using made_up::counting;
using made_up::kSecond;
using made_up::listener;

std::uint64_t now = 0;

class ExporterTest : public testing::Test {
 protected:
  void SetUp() override { now = 100 * kSecond; }

  void add(std::uint64_t second) {
    now = second * kSecond;
    exporter_.add(std::make_shared<const Sample>(counting(made_up::sample(second, {listener()}))));
  }

  web::Response get(std::string_view path, std::string_view accept = "") {
    return exporter_.answer({.path = path, .accept = accept});
  }
  static std::string body(const web::Response& response) {
    const auto reader = response.document->open();
    std::string out;
    while (reader->read(out)) {
    }
    return out;
  }

  ServeOptions options_;
  Exporter exporter_{options_, 1.0, [] { return now; }};
};

TEST_F(ExporterTest, BeforeTheFirstSample) {
  EXPECT_EQ(get("/-/healthy").status, 200U);
  EXPECT_EQ(get("/-/ready").status, 503U);
  EXPECT_EQ(get("/metrics").status, 503U);
  EXPECT_EQ(get("/").status, 200U);
}

TEST_F(ExporterTest, Pages) {
  add(100);
  EXPECT_EQ(get("/-/ready").status, 200U);
  const web::Response text = get("/metrics");
  EXPECT_EQ(text.status, 200U);
  EXPECT_EQ(text.document->content_type(), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(body(text).find("listenq_accept_queue_limit{"), std::string::npos);
  const web::Response openmetrics = get("/metrics", "application/openmetrics-text;version=1.0.0");
  EXPECT_EQ(openmetrics.document->content_type(),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_TRUE(body(openmetrics).ends_with("# EOF\n"));
  for (const char* path : {"/metric", "/metrics/", "/-/", "", "//", "/-/ready/x"}) {
    EXPECT_EQ(get(path).status, 404U) << path;
  }
}

TEST_F(ExporterTest, TheLandingPageLinksToThePathThatWasChosen) {
  options_.telemetry_path = "/a\"<b>&c";
  EXPECT_NE(body(get("/")).find("href=\"/a&quot;&lt;b&gt;&amp;c\""), std::string::npos);
  add(100);
  EXPECT_EQ(get("/a\"<b>&c").status, 200U);
  EXPECT_EQ(get("/metrics").status, 404U);
  options_.telemetry_path = "/";
  EXPECT_NE(body(get("/")).find("listenq_"), std::string::npos);
}

// However many ask, a page is made once a sample; nothing is read for them.
TEST_F(ExporterTest, APageIsSharedUntilTheNextSample) {
  add(100);
  const auto first = get("/metrics").document;
  EXPECT_EQ(get("/metrics").document, first);
  EXPECT_NE(get("/metrics", "application/openmetrics-text").document, first);
  EXPECT_EQ(get("/metrics").document, first);
  add(101);
  EXPECT_NE(get("/metrics").document, first);
}

// Whoever reads slowly reads on what he began.
TEST_F(ExporterTest, APageOutlivesItsSample) {
  add(100);
  const auto page = get("/metrics").document;
  const std::string before = body({200, page});
  for (std::uint64_t second = 101; second < 200; ++second) add(second);
  EXPECT_EQ(body({200, page}), before);
}

TEST_F(ExporterTest, AnOldSampleIsNoSample) {
  add(100);
  now = 112 * kSecond;
  EXPECT_EQ(get("/-/ready").status, 200U);
  EXPECT_NE(body(get("/metrics")).find("port="), std::string::npos);
  now = 114 * kSecond;  // 10 s and three intervals
  EXPECT_EQ(get("/-/ready").status, 503U);
  const std::string page = body(get("/metrics"));
  EXPECT_EQ(page.find("port="), std::string::npos);
  EXPECT_NE(page.find("listenq_collector_up{collector=\"sample\"} 0\n"), std::string::npos);
  EXPECT_NE(get("/metrics").document, get("/metrics").document) << "the process goes on";
  EXPECT_EQ(get("/-/healthy").status, 200U);
  add(115);
  EXPECT_EQ(get("/-/ready").status, 200U);
  EXPECT_NE(body(get("/metrics")).find("port="), std::string::npos);
}

TEST_F(ExporterTest, AFailedSampleIsToldUntilTheNextGoodOne) {
  exporter_.fail();
  EXPECT_EQ(get("/metrics").status, 200U);
  EXPECT_NE(body(get("/metrics")).find("{collector=\"sample\"} 0\n"), std::string::npos);
  add(100);
  EXPECT_NE(body(get("/metrics")).find("{collector=\"sample\"} 1\n"), std::string::npos);
  exporter_.fail();
  EXPECT_NE(body(get("/metrics")).find("{collector=\"sample\"} 0\n"), std::string::npos);
  EXPECT_EQ(get("/-/ready").status, 503U);
}

TEST_F(ExporterTest, TellsOfItsProcess) {
  add(100);
  const std::string page = body(get("/metrics"));
  for (const char* name :
       {"process_cpu_seconds_total ", "process_resident_memory_bytes ",
        "process_start_time_seconds ", "process_open_fds ", "process_max_fds "}) {
    EXPECT_NE(page.find(std::string("\n") + name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace listenq
