// SPDX-License-Identifier: Apache-2.0
// Frames of every kind in random order, each with what must be counted of it: by the one who made
// it, not by reading it. For the tests of what is counted at an interface, and as the seeds of the
// fuzzing.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "frames.h"

namespace lqtest {

// Who listens where on the machine the frames go to.
struct MixTarget {
  HardwareAddress source{};  // of all frames of the mix
  HardwareAddress target{};
  IpAddress given4{};  // `given` has a listener at each of these two, and no other
  IpAddress given6{};
  IpAddress other4{};  // more addresses of the same machine
  IpAddress other6{};
  IpAddress foreign4{};  // nobody's
  IpAddress foreign6{};
  uint16_t any = 0;    // a listener for all addresses of both families
  uint16_t any4 = 0;   // IPv4 alone
  uint16_t any6 = 0;   // IPv6 alone
  uint16_t given = 0;  // see above
  uint16_t none = 0;   // nobody listens
};

enum class Counted : uint8_t { nothing, syn, reset };

struct MadeFrame {
  Bytes bytes{};
  std::string kind{};
  Verdict verdict = Verdict::other;
  Counted counted = Counted::nothing;
  uint16_t port = 0;  // where it is counted
};

class FrameMix {
 public:
  // `largest`: of an IP packet.
  FrameMix(MixTarget target, uint64_t seed, size_t largest = 1500);

  MadeFrame next();

 private:
  uint64_t below(uint64_t limit);
  bool one_in(uint64_t count) { return below(count) == 0; }
  IpAddress next_source(bool v6);
  IpAddress pick_target(bool v6);
  uint16_t pick_port();
  std::string pick_payload();
  [[nodiscard]] bool is_listened(const Segment& segment) const;
  Segment segment();
  FrameSpec plain();
  void dress(FrameSpec& spec);
  MadeFrame with_counts(const FrameSpec& spec, const std::string& kind) const;

  MadeFrame tcp();
  MadeFrame wrong_checksum();
  MadeFrame tagged();
  MadeFrame ipv6_extended();
  MadeFrame too_deep();
  MadeFrame piece();
  MadeFrame whole_with_fragment_header();
  MadeFrame mapped_address();
  MadeFrame not_tcp();
  MadeFrame not_ip();
  MadeFrame cut();
  MadeFrame impossible();
  MadeFrame garbage();

  MixTarget target_;
  std::mt19937_64 random_;
  size_t largest_;
  uint64_t made_ = 0;
};

}  // namespace lqtest
