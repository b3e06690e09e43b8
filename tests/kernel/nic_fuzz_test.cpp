// SPDX-License-Identifier: Apache-2.0
// The programs at the interface, fed with mutated frames by the kernel's own test run: whatever a
// frame holds, it is passed on, unchanged, and counted as the reference parser has it. The one test
// that reaches into the tool: it loads its BPF object, without the rest.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "fixture.h"
#include "frame_mix.h"
#include "listenq/abi.h"
#include "netns.h"
#include "nic.skel.h"
#include "watch.h"

namespace lqtest {
namespace {

constexpr uint64_t kSeed = 20'260'104;  // unless $LISTENQ_FUZZ_SEED is another
constexpr size_t kBatch = 2048;
constexpr size_t kSmallest = 14;   // of a test run
constexpr size_t kLargest = 3000;  // in one page with what else is there
constexpr size_t kLargestInPieces = 9000;
constexpr uint32_t kPass = 2;             // XDP_PASS
constexpr uint32_t kNext = 0xffff'ffffU;  // TC_ACT_UNSPEC, TCX_NEXT
constexpr uint16_t kFirstPort = 9000;
constexpr uint16_t kPorts = 5;

// What has been counted, or should have been.
struct Totals {
  uint64_t passed = 0;
  uint64_t malformed = 0;
  uint64_t fragments = 0;
  uint64_t syn_in = 0;
  uint64_t synack_out = 0;
  uint64_t rst_in = 0;
  uint64_t ack_in = 0;

  bool operator==(const Totals&) const = default;
  [[nodiscard]] std::string text() const {
    return fmt::format(
        "passed {} malformed {} fragments {} syn_in {} synack_out {} rst_in {} ack_in {}", passed,
        malformed, fragments, syn_in, synack_out, rst_in, ack_in);
  }
  [[nodiscard]] Totals since(const Totals& before) const {
    return {passed - before.passed, malformed - before.malformed,   fragments - before.fragments,
            syn_in - before.syn_in, synack_out - before.synack_out, rst_in - before.rst_in,
            ack_in - before.ack_in};
  }
};

// One of each, as it is given to the programs.
struct Input {
  Bytes frame{};
  size_t linear = 0;  // so much of it in the first piece; 0: all
};

// The object with its three programs. Every port has a listener, and every address is ours.
class Programs {
 public:
  Programs() {
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_MEMLOCK, &none);  // before 5.11 maps are charged to it
    for (const bool frags : {true, false})
      if (!object_) load(frags);
    if (!object_) return;
    std::memset(object_->bss->listenq_nic_ports, 0x33, sizeof(object_->bss->listenq_nic_ports));
    for (auto& addresses : object_->bss->listenq_nic_addresses) addresses.all = 1;
    const listenq_nic_counts zero{};
    for (uint32_t port = kFirstPort; port < kFirstPort + kPorts; ++port)
      if (::bpf_map__update_elem(object_->maps.port_counts, &port, sizeof(port), &zero,
                                 sizeof(zero), BPF_ANY) != 0)
        throw std::runtime_error("port_counts");
    xdp_ = ::bpf_program__fd(object_->progs.nic_xdp);
    in_ = ::bpf_program__fd(object_->progs.nic_in);
    out_ = ::bpf_program__fd(object_->progs.nic_out);
    xdp_takes_pieces_ = takes_pieces(true);
    skb_takes_pieces_ = takes_pieces(false);
  }

  [[nodiscard]] bool loaded() const { return object_ != nullptr; }
  [[nodiscard]] bool frags() const { return frags_; }
  [[nodiscard]] bool xdp_takes_pieces() const { return xdp_takes_pieces_; }
  [[nodiscard]] bool skb_takes_pieces() const { return skb_takes_pieces_; }

  // Runs all programs over it. Empty, or what is wrong; `expected` grows by what must be counted.
  std::string run(const Input& input, Totals& expected);
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] uint64_t refused() const { return refused_; }

 private:
  struct Closer {
    void operator()(nic_bpf* object) const { nic_bpf__destroy(object); }
  };

  void load(bool frags);
  bool takes_pieces(bool xdp);
  std::string run_one(const char* name, int program, const Input& input, uint32_t wanted,
                      bool& refused);

  std::unique_ptr<nic_bpf, Closer> object_;
  bool frags_ = false;
  bool xdp_takes_pieces_ = false;
  bool skb_takes_pieces_ = false;
  int xdp_ = -1;
  int in_ = -1;
  int out_ = -1;
  uint64_t refused_ = 0;
  Bytes out_buffer_ = Bytes(16384);
};

void Programs::load(bool frags) {
  std::unique_ptr<nic_bpf, Closer> object(nic_bpf__open());
  if (!object) throw std::runtime_error("the object cannot be opened");
  object->rodata->listenq_nic_frags = frags ? 1 : 0;
  if (frags)
    ::bpf_program__set_flags(object->progs.nic_xdp,
                             ::bpf_program__flags(object->progs.nic_xdp) | BPF_F_XDP_HAS_FRAGS);
  const auto quiet = ::libbpf_set_print(nullptr);
  const int error = nic_bpf__load(object.get());
  ::libbpf_set_print(quiet);
  if (error != 0) {
    std::printf("%s: %s\n", frags ? "with pieces" : "without pieces", std::strerror(-error));
    return;
  }
  frags_ = frags;
  object_ = std::move(object);
}

// Since 6.18 a test run of XDP takes the size of the first piece, since 7.0 one of tc.
bool Programs::takes_pieces(bool xdp) {
  if (xdp && !frags_) return false;
  bool refused = false;
  const Input probe{Bytes(200), 20};
  const int program = xdp ? xdp_ : in_;
  return run_one("probe", program, probe, xdp ? kPass : kNext, refused).empty() && !refused;
}

std::string Programs::run_one(const char* name, int program, const Input& input, uint32_t wanted,
                              bool& refused) {
  const bool xdp = program == xdp_;
  xdp_md xdp_context{};
  __sk_buff skb_context{};
  xdp_context.data_end = skb_context.data_end = static_cast<uint32_t>(input.linear);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = input.frame.data();
  options.data_size_in = static_cast<uint32_t>(input.frame.size());
  options.data_out = out_buffer_.data();
  options.data_size_out = static_cast<uint32_t>(out_buffer_.size());
  options.repeat = 1;
  if (input.linear != 0) {
    options.ctx_in = xdp ? static_cast<const void*>(&xdp_context) : &skb_context;
    options.ctx_size_in = xdp ? sizeof(xdp_context) : sizeof(skb_context);
  }
  const int error = ::bpf_prog_test_run_opts(program, &options);
  // Some kernels do not test packets that end, or whose first piece ends, before their IP header.
  const size_t first_piece = input.linear != 0 ? input.linear : input.frame.size();
  if (error == -EINVAL && !xdp && first_piece < kSmallest + 40) {
    refused = true;
    return "";
  }
  if (error != 0) return fmt::format("{}: test run: {}", name, std::strerror(-error));
  if (options.retval != wanted) return fmt::format("{}: verdict {}", name, options.retval);
  if (options.data_size_out != input.frame.size() ||
      !std::equal(input.frame.begin(), input.frame.end(), out_buffer_.begin()))
    return fmt::format("{}: the frame is another after it:{}", name,
                       hex(std::span(out_buffer_).first(options.data_size_out)));
  return "";
}

// A port that is counted, at an address that may be ours: one of IPv4 that is mapped into IPv6 is
// nobody's on the wire.
bool is_counted(const IpAddress& address, uint16_t port) {
  static const IpAddress mapped = IpAddress::parse("::ffff:0.0.0.0");
  if (address.v6 &&
      std::equal(mapped.bytes.begin(), mapped.bytes.begin() + 12, address.bytes.begin()))
    return false;
  return port >= kFirstPort && port < kFirstPort + kPorts;
}

void add_incoming(Totals& to, const Parsed& parsed) {
  const bool counted = is_counted(parsed.target, parsed.target_port);
  ++to.passed;
  if (parsed.verdict == Verdict::malformed) ++to.malformed;
  if (parsed.verdict == Verdict::fragment) ++to.fragments;
  if (counted && parsed.is_syn()) ++to.syn_in;
  if (counted && parsed.is_reset()) ++to.rst_in;
}

std::string Programs::run(const Input& input, Totals& expected) {
  const Parsed parsed = classify(input.frame);
  const bool too_large = input.frame.size() > kLargest;
  const auto input_for = [&](bool takes_pieces) {
    return Input{input.frame, takes_pieces ? input.linear : 0};
  };
  bool refused = false;
  std::string wrong;
  if (!too_large || frags_) {
    wrong = run_one("nic_xdp", xdp_, input_for(xdp_takes_pieces_), kPass, refused);
    add_incoming(expected, parsed);
  }
  if (too_large) return wrong;
  const Input skb = input_for(skb_takes_pieces_);
  if (wrong.empty()) wrong = run_one("nic_in", in_, skb, kNext, refused);
  if (refused) {
    ++refused_;
    return wrong;
  }
  add_incoming(expected, parsed);
  if (wrong.empty()) wrong = run_one("nic_out", out_, skb, kNext, refused);
  if (parsed.is_synack() && is_counted(parsed.source, parsed.source_port)) ++expected.synack_out;
  return wrong;
}

Totals Programs::totals() const {
  Totals sum;
  std::vector<listenq_nic_totals> each(static_cast<size_t>(::libbpf_num_possible_cpus()));
  const uint32_t zero = 0;
  if (::bpf_map__lookup_elem(object_->maps.totals, &zero, sizeof(zero), each.data(),
                             each.size() * sizeof(each[0]), 0) != 0)
    throw std::runtime_error("totals");
  for (const listenq_nic_totals& one : each) {
    sum.passed += one.passed;
    sum.malformed += one.malformed;
    sum.fragments += one.fragments;
  }
  for (uint32_t port = kFirstPort; port < kFirstPort + kPorts; ++port) {
    listenq_nic_counts counts{};
    if (::bpf_map__lookup_elem(object_->maps.port_counts, &port, sizeof(port), &counts,
                               sizeof(counts), 0) != 0)
      throw std::runtime_error("port_counts");
    sum.syn_in += counts.syn_in;
    sum.synack_out += counts.synack_out;
    sum.rst_in += counts.rst_in;
    sum.ack_in += counts.ack_in;
  }
  return sum;
}

// Makes frames out of frames.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : mix_(target(), seed), random_(seed) {
    for (int i = 0; i < 4096; ++i) seeds_.push_back(mix_.next().bytes);
  }

  Input next(bool large) {
    Input input;
    Bytes& frame = input.frame;
    frame = below(50) == 0 ? noise(below(200)) : pick();
    const uint64_t count = below(5);  // none: as it was made
    for (uint64_t i = 0; i < count; ++i) mutate(frame);
    if (below(3) == 0) turn_around(frame);
    if (large && below(64) == 0) frame.resize(frame.size() + below(kLargestInPieces), 0x2a);
    if (frame.size() < kSmallest) frame.resize(kSmallest, 0x08);
    frame.resize(std::min(frame.size(), large ? kLargestInPieces : kLargest));
    if (frame.size() > kSmallest && below(2) == 0)
      input.linear = kSmallest + below(std::min<uint64_t>(frame.size() - kSmallest, 600));
    return input;
  }

 private:
  static MixTarget target() {
    return {.given4 = IpAddress::parse("192.0.2.1"),
            .given6 = IpAddress::parse("2001:db8::1"),
            .other4 = IpAddress::parse("192.0.2.2"),
            .other6 = IpAddress::parse("2001:db8::2"),
            .foreign4 = IpAddress::parse("192.0.2.3"),
            .foreign6 = IpAddress::parse("2001:db8::3"),
            .any = kFirstPort,
            .any4 = kFirstPort + 1,
            .any6 = kFirstPort + 2,
            .given = kFirstPort + 3,
            .none = kFirstPort + 4};
  }

  uint64_t below(uint64_t limit) { return random_() % limit; }
  uint8_t byte() { return static_cast<uint8_t>(random_()); }
  const Bytes& pick() { return seeds_.at(below(seeds_.size())); }

  Bytes noise(size_t size) {
    Bytes bytes(size);
    for (uint8_t& one : bytes) one = byte();
    return bytes;
  }

  // In a header, if it can be.
  size_t place(const Bytes& frame) {
    return below(std::min<uint64_t>(frame.size(), below(4) == 0 ? frame.size() : 110));
  }

  // Values at which a parser may be off by one.
  uint8_t telling_byte(size_t at) {
    constexpr std::array<uint8_t, 20> kBytes{
        0, 1, 4, 5, 6, 17, 20, 40, 43, 44, 51, 60, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0xfe, 0xff};
    return at == 12 ? 0x08 : kBytes.at(below(kBytes.size()));
  }

  // A length that ends near the end of the frame, where the kinds of headers have theirs.
  void change_length(Bytes& frame) {
    constexpr std::array<size_t, 6> kPlaces{16, 18, 20, 22, 24, 26};
    const size_t at = kPlaces.at(below(kPlaces.size()));
    if (at + 2 > frame.size()) return;
    const size_t value = frame.size() - 10 - below(60);
    frame[at] = static_cast<uint8_t>(value >> 8U & 0xffU);
    frame[at + 1] = static_cast<uint8_t>(value & 0xffU);
  }

  void insert_tag(Bytes& frame) {
    if (frame.size() < kSmallest) return;
    const Bytes tag{static_cast<uint8_t>(below(2) == 0 ? 0x81 : 0x88), 0x00, 0x00, 0x64};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    if (frame[12] == 0x88) frame[13] = 0xa8;
  }

  void splice(Bytes& frame) {
    const Bytes& other = pick();
    frame.resize(place(frame));
    const size_t from = below(other.size());
    frame.insert(frame.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
  }

  void mutate(Bytes& frame) {
    if (frame.empty()) return;
    const size_t at = place(frame);
    switch (below(10)) {
      case 0:
      case 1:
        frame[at] ^= static_cast<uint8_t>(1U << below(8));
        break;
      case 2:
        frame[at] = telling_byte(at);
        break;
      case 3:
        frame[at] = byte();
        break;
      case 4:
        frame.resize(at);
        break;
      case 5:
        frame.resize(frame.size() - below(std::min<uint64_t>(frame.size(), 12)));
        break;
      case 6:
        splice(frame);
        break;
      case 7:
        change_length(frame);
        break;
      case 8:
        insert_tag(frame);
        break;
      default:
        frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(at), 4 * below(4), byte());
    }
  }

  // As an answer: the ports of a TCP segment the other way round, and often a SYN-ACK.
  void turn_around(Bytes& frame) {
    const Parsed parsed = classify(frame);
    if (parsed.verdict != Verdict::tcp) return;
    const auto tcp = frame.begin() + static_cast<std::ptrdiff_t>(parsed.tcp_at);
    std::swap_ranges(tcp, tcp + 2, tcp + 2);
    if (below(2) == 0) tcp[13] = kSyn | kAck;
  }

  FrameMix mix_;
  std::mt19937_64 random_;
  std::vector<Bytes> seeds_;
};

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::stoull(given) : otherwise;
}

class NicFuzz : public KernelTest {
 protected:
  // Which of them it is; each is run once more, alone.
  static std::string blame(Programs& programs, const std::vector<Input>& batch) {
    for (const Input& input : batch) {
      Totals wanted;
      const Totals before = programs.totals();
      programs.run(input, wanted);
      const Totals got = programs.totals().since(before);
      if (got == wanted) continue;
      return fmt::format("{} bytes, {} of them in the first piece, {}\nwanted {}\ngot    {}{}",
                         input.frame.size(), input.linear, name_of(classify(input.frame).verdict),
                         wanted.text(), got.text(), hex(input.frame));
    }
    return "none of them when it is alone";
  }

  static void feed(Programs& programs, uint64_t seed, uint64_t frames) {
    Mutator mutator(seed);
    std::array<uint64_t, 4> verdicts{};
    Totals all;
    for (uint64_t done = 0; done < frames; done += kBatch) {
      std::vector<Input> batch;
      Totals wanted;
      const Totals before = programs.totals();
      for (size_t i = 0; i < kBatch; ++i) {
        batch.push_back(mutator.next(programs.frags()));
        const std::string wrong = programs.run(batch.back(), wanted);
        ++verdicts.at(static_cast<size_t>(classify(batch.back().frame).verdict));
        ASSERT_EQ(wrong, "") << "frame " << done + i << hex(batch.back().frame);
      }
      const Totals got = programs.totals().since(before);
      ASSERT_EQ(got.text(), wanted.text()) << blame(programs, batch);
      all = programs.totals();
    }
    std::printf(
        "tcp %llu other %llu fragment %llu malformed %llu; %s; %llu too short for tc here\n",
        static_cast<unsigned long long>(verdicts[0]), static_cast<unsigned long long>(verdicts[1]),
        static_cast<unsigned long long>(verdicts[2]), static_cast<unsigned long long>(verdicts[3]),
        all.text().c_str(), static_cast<unsigned long long>(programs.refused()));
    // It went through all of the programs.
    for (const uint64_t count : verdicts) EXPECT_GE(count, frames / 100);
    EXPECT_GE(all.syn_in, frames / 100);
    EXPECT_GE(all.rst_in, frames / 100);
    EXPECT_GE(all.synack_out, frames / 100);
    EXPECT_EQ(all.ack_in, 0U);
  }
};

TEST_F(NicFuzz, MutatedFramesArePassedAndCountedRight) {
  const uint64_t frames =
      from_environment("LISTENQ_FUZZ_FRAMES", is_emulated() ? 20'000 : 1'000'000);
  const uint64_t seed = from_environment("LISTENQ_FUZZ_SEED", kSeed);
  const Netns space = Netns::named("fuzz");  // sockets are looked up in it: there are none
  space.run([&] {
    Programs programs;
    ASSERT_TRUE(programs.loaded());
    std::printf(
        "seed %llu, %llu frames; XDP in pieces: %s (%s in test runs), tc in test runs: %s\n",
        static_cast<unsigned long long>(seed), static_cast<unsigned long long>(frames),
        programs.frags() ? "yes" : "no", programs.xdp_takes_pieces() ? "yes" : "no",
        programs.skb_takes_pieces() ? "yes" : "no");
    feed(programs, seed, frames);
  });
}

}  // namespace
}  // namespace lqtest
