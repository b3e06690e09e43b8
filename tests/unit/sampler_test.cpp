// SPDX-License-Identifier: Apache-2.0
//
// Samples are taken beside the screen: while one takes its time the keys work, and the screen says
// how old its numbers are.
#include "app/sampler.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "app/screen_loop.h"
#include "pty_child.h"
#include "stories.h"

namespace listenq {
namespace {

/// Gives a sample for each byte that comes through a pipe, and waits for it until then.
class GatedSource final : public Source {
 public:
  explicit GatedSource(Fd gate) : gate_(std::move(gate)) {}

  Result<std::shared_ptr<const Sample>> next() override {
    char what = 'e';
    if (::read(gate_.get(), &what, 1) != 1 || what == 'e') {
      return failure(ErrorKind::unsupported, "the source is over");
    }
    if (what == 't') throw std::runtime_error("thrown");
    Sample sample = test::stories().front().samples.front();
    sample.monotonic_ns += ++given_ * 1'000'000'000;
    return std::make_shared<const Sample>(std::move(sample));
  }
  [[nodiscard]] bool live() const override { return true; }
  void want(const Wanted& wanted) override { program_times = wanted.program_times; }
  Result<void> rewind() override { return {}; }
  [[nodiscard]] std::string note() const override { return ""; }
  [[nodiscard]] std::string closing_note() const override { return ""; }

  bool program_times = false;

 private:
  Fd gate_;
  std::uint64_t given_ = 0;
};

struct Gate {
  Gate() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    out = Fd(ends[0]);
    in = Fd(ends[1]);
  }
  void open(char what = 's') const { EXPECT_EQ(::write(in.get(), &what, 1), 1); }
  Fd out;
  Fd in;
};

bool is_ready(const Sampler& sampler, int milliseconds) {
  pollfd ready{sampler.ready_fd(), POLLIN, 0};
  return ::poll(&ready, 1, milliseconds) == 1;
}

constexpr int kWaitMs = 10'000;  // for what comes at once, or never

TEST(Sampler, TakesOneSampleARequest) {
  Gate gate;
  GatedSource source(std::move(gate.out));
  auto sampler = Sampler::create(source);
  ASSERT_TRUE(sampler);
  EXPECT_FALSE((*sampler)->take()) << "nobody asked";
  Wanted wanted;
  wanted.program_times = true;
  EXPECT_TRUE((*sampler)->request(wanted));
  EXPECT_FALSE((*sampler)->request({})) << "one is under way";
  EXPECT_FALSE((*sampler)->take());
  EXPECT_FALSE(is_ready(**sampler, 0));
  gate.open();
  ASSERT_TRUE(is_ready(**sampler, kWaitMs));
  EXPECT_FALSE((*sampler)->request({})) << "it is not taken yet";
  auto sample = (*sampler)->take();
  ASSERT_TRUE(sample && *sample);
  EXPECT_FALSE((**sample)->listeners.empty());
  EXPECT_TRUE(source.program_times);
  EXPECT_FALSE(is_ready(**sampler, 0));
  EXPECT_FALSE((*sampler)->take());
}

TEST(Sampler, HandsErrorsAndExceptionsOver) {
  Gate gate;
  GatedSource source(std::move(gate.out));
  auto sampler = Sampler::create(source);
  ASSERT_TRUE(sampler);
  gate.open('t');
  (*sampler)->request({});
  ASSERT_TRUE(is_ready(**sampler, kWaitMs));
  EXPECT_THROW(static_cast<void>((*sampler)->take()), std::runtime_error);
  gate.open('e');
  EXPECT_TRUE((*sampler)->request({})) << "it goes on";
  ASSERT_TRUE(is_ready(**sampler, kWaitMs));
  const auto sample = (*sampler)->take();
  ASSERT_TRUE(sample);
  ASSERT_FALSE(*sample);
  EXPECT_EQ(sample->error().message, "the source is over");
}

TEST(Sampler, EndsWithASampleThatNobodyTook) {
  Gate gate;
  GatedSource source(std::move(gate.out));
  auto sampler = Sampler::create(source);
  ASSERT_TRUE(sampler);
  (*sampler)->request({});
  gate.open();
  sampler->reset();  // waits for it, whether it is done or not
}

TEST(Sampler, ASlowSampleKeepsTheScreenFromNothing) {
  Gate gate;
  const int out = gate.out.get();
  test::Child child([out] {
    GatedSource source{Fd(out)};
    Options options;
    options.delay_seconds = 0.1;
    return run_screen(options, source) ? 0 : 3;
  });
  ASSERT_TRUE(child.wait_for("reading the first sample"));
  child.type("?");
  ASSERT_TRUE(child.wait_for("Keys")) << "before there is any sample";
  child.type("q");
  gate.open();
  ASSERT_TRUE(child.wait_for("nginx"));
  ASSERT_TRUE(child.wait_for(" ago")) << "the second one does not come";
  child.type("?");
  ASSERT_TRUE(child.wait_for("Keys"));
  child.type("qq");
  gate.open();  // it ends once the sample is there
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace listenq
