// SPDX-License-Identifier: Apache-2.0
//
// What the probe makes of bytes and words of the kernel, without asking one: records of an
// iterator, reasons for what can't be had.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "probe/iterator.h"
#include "probe/libbpf_log.h"
#include "probe/plan.h"
#include "util/fd.h"

namespace listenq {
namespace {

/// An iterator's descriptor, played by a pipe: what was written, and then EAGAIN or the end.
class Records : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read_ = Fd(ends[0]);
    write_ = Fd(ends[1]);
  }
  void write(std::size_t bytes) {
    std::vector<char> data(bytes);
    std::iota(data.begin(), data.end(), '\0');
    ASSERT_EQ(::write(write_.get(), data.data(), bytes), static_cast<ssize_t>(bytes));
  }
  std::string read(std::size_t size, Eagain eagain) {
    return read_records(read_.get(), size, eagain, [&](const void* data) {
      first_bytes_.push_back(*static_cast<const char*>(data));
    });
  }

  Fd read_;
  Fd write_;
  std::vector<char> first_bytes_;
};

TEST_F(Records, AreHandedOverWhole) {
  write(24);
  write_ = Fd();
  EXPECT_EQ(read(8, Eagain::is_an_error), "");
  EXPECT_EQ(first_bytes_, (std::vector<char>{0, 8, 16}));
}

TEST(RecordsOfAFile, AreWholeWhereTheBufferCutsThem) {
  constexpr std::size_t kSize = 24;  // 64 KiB, as much as is read at once, is no multiple of it
  constexpr std::size_t kCount = 10'000;
  const auto byte_of = [](std::size_t record) { return static_cast<char>(record % 100); };
  const Fd file(::memfd_create("records", MFD_CLOEXEC));
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::vector<char> record(kSize, byte_of(i));
    ASSERT_EQ(::write(file.get(), record.data(), kSize), static_cast<ssize_t>(kSize));
  }
  ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
  std::size_t count = 0;
  std::size_t wrong = 0;
  const std::string error =
      read_records(file.get(), kSize, Eagain::is_an_error, [&](const void* record) {
        const std::vector<char> want(kSize, byte_of(count++));
        if (std::memcmp(record, want.data(), kSize) != 0) ++wrong;
      });
  EXPECT_EQ(error, "");
  EXPECT_EQ(count, kCount);
  EXPECT_EQ(wrong, 0U);
}

TEST_F(Records, EagainIsTheEndWhereAProgramStopsByIt) {
  write(16);
  EXPECT_EQ(read(8, Eagain::is_the_end), "");
  EXPECT_EQ(first_bytes_.size(), 2U);
}

TEST_F(Records, EagainIsAnErrorElsewhere) {
  write(16);
  EXPECT_NE(read(8, Eagain::is_an_error), "");
}

TEST_F(Records, APartOfOneAtTheEndIsAnError) {
  write(12);
  EXPECT_NE(read(8, Eagain::is_the_end), "");
  EXPECT_EQ(first_bytes_.size(), 1U);
  write(12);
  write_ = Fd();
  EXPECT_NE(read(8, Eagain::is_an_error), "");
}

TEST(Lacking, NamesAFunctionOrATracepoint) {
  EXPECT_EQ(kernel_lacks("tcp_req_err"), "the kernel has no function tcp_req_err()");
  EXPECT_EQ(kernel_lacks("btf_trace_timer_expire_exit"),
            "the kernel has no tracepoint timer_expire_exit");
  EXPECT_EQ(kernel_lacks("btf_trace_sk_data_ready"),
            "the kernel has no tracepoint sk_data_ready (new in Linux 6.3)");
}

TEST(Lacking, SaysAllThatThePortableWayMisses) {
  EXPECT_EQ(no_compare_and_swap(true),
            "BPF has no compare-and-swap in this kernel (new in Linux 5.12)");
  EXPECT_EQ(no_compare_and_swap(false),
            "BPF has no compare-and-swap in this kernel (new in Linux 5.12); besides, the kernel "
            "has no tracepoint sk_data_ready (new in Linux 6.3)");
}

TEST(VerifierReason, IsTheLastLineBeforeTheSummary) {
  EXPECT_EQ(verifier_reason("libbpf: prog 'packet': -- BEGIN PROG LOAD LOG --\n"
                            "0: (b7) r0 = 0\n"
                            "BPF_STX uses reserved fields\n"
                            "processed 0 insns (limit 1000000) max_states_per_insn 0\n"
                            "-- END PROG LOAD LOG --\n"),
            "libbpf: prog 'packet': BPF_STX uses reserved fields");
  EXPECT_EQ(verifier_reason("libbpf: failed to load object 'portable_bpf'\n"), "");
  EXPECT_EQ(verifier_reason("libbpf: prog 'x': -- BEGIN PROG LOAD LOG --\n"), "");
}

}  // namespace
}  // namespace listenq
