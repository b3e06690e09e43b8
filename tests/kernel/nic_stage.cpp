// SPDX-License-Identifier: Apache-2.0
// The stage for tests of what is counted at an interface: see nic_stage.h.
#include "nic_stage.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "process.h"
#include "sockets.h"

namespace lqtest {
namespace {

constexpr HardwareAddress kMixSource{2, 0, 0, 0, 0x77, 7};

MixTarget make_target() {
  return {.source = kMixSource,
          .target = Fabric::server_hardware(0),
          .given4 = IpAddress::parse(Fabric::server_address(0, false)),
          .given6 = IpAddress::parse(Fabric::server_address(0, true)),
          .other4 = IpAddress::parse("198.18.0.101"),
          .other6 = IpAddress::parse("fd18:1::101"),
          .foreign4 = IpAddress::parse("198.18.0.201"),
          .foreign6 = IpAddress::parse("fd18:1::201"),
          .any = 7001,
          .any4 = 7002,
          .any6 = 7003,
          .given = 7004,
          .none = 7005};
}

uint64_t number(const Json& object, const char* name) {
  const Json value = object.value(name, Json());
  if (!value.is_number()) throw std::runtime_error(fmt::format("{} is no number", name));
  return value.get<uint64_t>();
}

std::chrono::milliseconds patience() {
  return std::chrono::seconds(is_emulated() ? 60 : 10);
}

}  // namespace

const std::vector<std::string>& nic_modes() {
  static const std::vector<std::string> modes{"tc", "xdp-generic", "xdp"};
  return modes;
}

std::string mode_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> nic_arguments(const std::string& mode, const std::string& interface) {
  return {"--nic", interface, "--nic-mode", mode};
}

Json nic_of(const Json& document, uint64_t netns_inode, const std::string& interface) {
  if (!document.is_object() || !document.contains("nics")) return nullptr;
  for (const Json& one : document.at("nics"))
    if (one.value("netns", Json()) == netns_inode && one.value("interface", "") == interface)
      return one;
  return nullptr;
}

Json row_of_port(const Json& document, uint64_t netns_inode, uint16_t port) {
  Json found;
  for (const Json& row : rows_of(document, netns_inode)) {
    if (row.value("port", Json()) != port) continue;
    if (!found.is_null()) return nullptr;
    found = row;
  }
  return found;
}

NicCounts NicCounts::of(const Json& nic) {
  NicCounts counts{.passed = number(nic, "passed"),
                   .malformed = number(nic, "malformed"),
                   .fragments = number(nic, "fragments")};
  for (const Json& port : nic.at("ports"))
    counts.ports[static_cast<uint16_t>(number(port, "port"))] = {
        number(port, "syn_in"), number(port, "synack_out"), number(port, "ack_in"),
        number(port, "rst_in")};
  return counts;
}

NicCounts NicCounts::since(const NicCounts& before) const {
  NicCounts result = *this;
  result.passed -= before.passed;
  result.malformed -= before.malformed;
  result.fragments -= before.fragments;
  for (const auto& [port, then] : before.ports) {
    NicPortCounts& now = result.ports[port];
    now.syn_in -= then.syn_in;
    now.synack_out -= then.synack_out;
    now.ack_in -= then.ack_in;
    now.rst_in -= then.rst_in;
  }
  return result;
}

std::string NicCounts::text() const {
  std::string text =
      fmt::format("passed {} malformed {} fragments {}\n", passed, malformed, fragments);
  for (const auto& [port, one] : ports)
    text += fmt::format("port {}: syn_in {} synack_out {} ack_in {} rst_in {}\n", port, one.syn_in,
                        one.synack_out, one.ack_in, one.rst_in);
  return text;
}

// --- the witness

namespace {

// Whether some protocol takes frames of this type. The kernel hands on what one poll brought as a
// list, and gives a tap the frames that nobody takes only at the end of a stretch of them
// (__netif_receive_skb_list_core()): then the tap sees others first.
bool is_handled(const Bytes& frame) {
  size_t at = 12;
  const auto type = [&] {
    return at + 1 < frame.size() ? (unsigned{frame[at]} << 8U) | frame[at + 1] : 0U;
  };
  while (type() == kTypeTag || type() == kTypeServiceTag) at += 4;
  return type() == kTypeIpv4 || type() == kTypeIpv6 || type() == kTypeArp;
}

}  // namespace

NicWitness::NicWitness(const Netns& server, const MixTarget& listeners)
    : tap_(server, kNicInterface), listeners_(listeners) {
  for (const uint16_t port : {listeners.any, listeners.any4, listeners.any6, listeners.given})
    counts.ports[port] = {};
}

void NicWitness::expect(std::vector<MadeFrame> frames) {
  for (MadeFrame& frame : frames) expected_.push_back(std::move(frame));
}

bool NicWitness::is_listened(const IpAddress& address, uint16_t port) const {
  const MixTarget& there = listeners_;
  const bool given = address == (address.v6 ? there.given6 : there.given4);
  const bool ours = given || address == (address.v6 ? there.other6 : there.other4);
  if (port == there.any) return ours;
  if (port == there.any4) return ours && !address.v6;
  if (port == there.any6) return ours && address.v6;
  return port == there.given && given;
}

void NicWitness::take_other(const Parsed& parsed) {
  ++counts.passed;
  if (parsed.verdict == Verdict::malformed) ++counts.malformed;
  if (parsed.verdict == Verdict::fragment) ++counts.fragments;
  if (!is_listened(parsed.target, parsed.target_port)) return;
  if (parsed.is_syn()) ++counts.ports[parsed.target_port].syn_in;
  if (parsed.is_reset()) ++counts.ports[parsed.target_port].rst_in;
}

void NicWitness::take_made(const SeenFrame& frame) {
  if (expected_.empty()) {
    if (wrong_.empty()) wrong_ = "a frame came twice:" + hex(frame.bytes);
    return;
  }
  auto next = expected_.begin();
  while (next->bytes != frame.bytes && !is_handled(next->bytes) &&
         std::next(next) != expected_.end())
    ++next;
  const MadeFrame made = std::move(*next);
  expected_.erase(next);
  if (made.bytes != frame.bytes && wrong_.empty())
    wrong_ =
        fmt::format("{}: sent{}\nbut what came is{}", made.kind, hex(made.bytes), hex(frame.bytes));
  ++kinds_[made.kind];
  ++counts.passed;
  if (made.verdict == Verdict::malformed) ++counts.malformed;
  if (made.verdict == Verdict::fragment) ++counts.fragments;
  if (made.counted == Counted::syn) ++counts.ports[made.port].syn_in;
  if (made.counted == Counted::reset) ++counts.ports[made.port].rst_in;
}

void NicWitness::take(const SeenFrame& frame) {
  ++seen_;
  if (frame.outgoing) {
    const Parsed parsed = classify(frame.bytes);
    if (parsed.is_synack() && is_listened(parsed.source, parsed.source_port))
      ++counts.ports[parsed.source_port].synack_out;
    return;
  }
  const bool is_made = frame.bytes.size() >= 12 &&
                       std::equal(kMixSource.begin(), kMixSource.end(), frame.bytes.begin() + 6);
  is_made ? take_made(frame) : take_other(classify(frame.bytes));
}

bool NicWitness::catch_up() {
  const auto deadline = std::chrono::steady_clock::now() + patience();
  while (wrong_.empty()) {
    const std::vector<SeenFrame> seen =
        tap_.receive(std::chrono::milliseconds(expected_.empty() ? 0 : 1000));
    for (const SeenFrame& frame : seen) take(frame);
    if (expected_.empty() && seen.empty()) return true;
    if (std::chrono::steady_clock::now() < deadline) continue;
    wrong_ = fmt::format("{} frames did not come, the first: {}{}", expected_.size(),
                         expected_.front().kind, hex(expected_.front().bytes));
  }
  return false;
}

void NicWitness::drain(std::chrono::milliseconds quiet) {
  while (true) {
    const std::vector<SeenFrame> seen = tap_.receive(quiet);
    if (seen.empty()) return;
    for (const SeenFrame& frame : seen) take(frame);
  }
}

// --- the stage

NicStage::NicStage(const std::string& mode, unsigned mtu)
    : fabric("nic", 1), target(make_target()) {
  server().ip(
      fmt::format("addr add {}/24 dev up0\n"
                  "addr add {}/64 dev up0 nodad\n"
                  "link set up0 mtu {}\n",
                  target.other4.text(), target.other6.text(), mtu));
  fabric.client().ip(fmt::format("link set to0 mtu {}\n", mtu));
  // Requests that nobody completes go away soon; each is answered once more before.
  if (!server().write_sysctl("ipv4/tcp_synack_retries", "1"))
    throw std::runtime_error("tcp_synack_retries cannot be set");
  open_listeners();
  watch = std::make_unique<Watch>("auto", watch_interval(), nic_arguments(mode));
  if (!watch->refusal().empty()) return;
  switch_merging_off(server(), kNicInterface);
  witness = std::make_unique<NicWitness>(server(), target);
  const Json nic_before = nic(quiet_document());
  if (nic_before.is_null()) return;
  before = NicCounts::of(nic_before);
  witness->counts = NicCounts{};
  for (const auto& [port, sockets] : listeners) witness->counts.ports[port] = {};
}

void NicStage::open_listeners() {
  server().run([&] {
    const auto open = [&](uint16_t port, const std::string& address, bool v6only) {
      listeners[port].push_back(
          open_listener({.address = address, .port = port, .backlog = 4096, .v6only = v6only}));
    };
    open(target.any, "::", false);
    open(target.any4, "0.0.0.0", false);
    open(target.any6, "::", true);
    open(target.given, target.given4.text(), false);
    open(target.given, target.given6.text(), true);
  });
}

Json NicStage::quiet_document() {
  const auto deadline = std::chrono::steady_clock::now() + 6 * patience();
  while (std::chrono::steady_clock::now() < deadline) {
    witness->drain(std::chrono::milliseconds(10));
    const uint64_t seen = witness->seen();
    Json document = watch->settled({server().inode()});
    witness->drain(std::chrono::milliseconds(10));
    if (seen == witness->seen()) return document;
  }
  ADD_FAILURE() << "the wire was never quiet";
  return nullptr;
}

bool NicStage::send(FrameSender& sender, std::vector<MadeFrame> frames) {
  std::vector<Bytes> bytes;
  bytes.reserve(frames.size());
  for (const MadeFrame& frame : frames) bytes.push_back(frame.bytes);
  witness->expect(std::move(frames));
  sender.send(bytes);
  return witness->catch_up();
}

void NicStage::accept_all() {
  for (auto& [port, sockets] : listeners) {
    for (const Fd& socket : sockets) {
      pollfd polled{socket.get(), POLLIN, 0};
      while (::poll(&polled, 1, 0) > 0) {
        const Fd taken = accept_from(socket);
        ++witness->counts.ports[port].ack_in;
      }
    }
  }
}

void NicStage::expect_the_same() {
  const Json document = quiet_document();
  ASSERT_FALSE(document.is_null()) << "the tool ended";
  const Json now = nic(document);
  ASSERT_FALSE(now.is_null()) << "up0 is not in the document";
  accept_all();
  EXPECT_EQ(NicCounts::of(now).since(before).text(), witness->counts.text());
  EXPECT_EQ(witness->wrong(), "");
  EXPECT_EQ(witness->lost(), 0U) << "frames that the witness missed";
}

}  // namespace lqtest
