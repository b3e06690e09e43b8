// SPDX-License-Identifier: Apache-2.0
// The stage for tests of what is counted at an interface: a client and a server joined by veth,
// listeners on a few ports of the server, the tool that watches its interface up0, and a witness
// who sees every frame there that the tool sees.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fabric.h"
#include "frame_mix.h"
#include "frame_socket.h"
#include "frames.h"
#include "watch.h"

namespace lqtest {

inline constexpr const char* kNicInterface = "up0";

// "tc", "xdp-generic", "xdp".
const std::vector<std::string>& nic_modes();
// Of a test's name.
std::string mode_name(const ::testing::TestParamInfo<std::string>& info);
// How the tool is told to.
std::vector<std::string> nic_arguments(const std::string& mode,
                                       const std::string& interface = kNicInterface);
// Its object in the document; null when it is not in it.
Json nic_of(const Json& document, uint64_t netns_inode, const std::string& interface);
// The listener of this port; null when there is not exactly one.
Json row_of_port(const Json& document, uint64_t netns_inode, uint16_t port);

struct NicPortCounts {
  uint64_t syn_in = 0;
  uint64_t synack_out = 0;
  uint64_t ack_in = 0;
  uint64_t rst_in = 0;
};

struct NicCounts {
  uint64_t passed = 0;
  uint64_t malformed = 0;
  uint64_t fragments = 0;
  std::map<uint16_t, NicPortCounts> ports{};

  static NicCounts of(const Json& nic);
  [[nodiscard]] NicCounts since(const NicCounts& before) const;
  // One line each; two are the same when their texts are.
  [[nodiscard]] std::string text() const;
};

// Counts what the reference parser makes of each frame at the interface, and holds what a sender
// sent against what arrives.
class NicWitness {
 public:
  NicWitness(const Netns& server, const MixTarget& listeners);

  // These will arrive, and count as their maker says. They are known by their source.
  void expect(std::vector<MadeFrame> frames);
  // Takes what has come. With frames still expected, waits for them; false when they don't come or
  // are others.
  bool catch_up();
  // Takes what comes until nothing has for so long.
  void drain(std::chrono::milliseconds quiet);
  // As of now. ACKs that end handshakes are the test's own business.
  NicCounts counts{};
  [[nodiscard]] uint64_t seen() const { return seen_; }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  uint64_t lost() { return tap_.lost(); }
  // What has been expected and seen, by kind.
  [[nodiscard]] const std::map<std::string, uint64_t>& kinds() const { return kinds_; }

 private:
  void take(const SeenFrame& frame);
  void take_made(const SeenFrame& frame);
  void take_other(const Parsed& parsed);
  [[nodiscard]] bool is_listened(const IpAddress& address, uint16_t port) const;

  FrameTap tap_;
  MixTarget listeners_;
  std::deque<MadeFrame> expected_;
  std::map<std::string, uint64_t> kinds_;
  uint64_t seen_ = 0;
  std::string wrong_;
};

class NicStage {
 public:
  // `mtu`: of the wire.
  explicit NicStage(const std::string& mode, unsigned mtu = 1500);

  Fabric fabric;
  MixTarget target;  // the listeners are there
  std::map<uint16_t, std::vector<Fd>> listeners;
  std::unique_ptr<NicWitness> witness;
  std::unique_ptr<Watch> watch;
  NicCounts before;  // of the tool, when the witness began

  [[nodiscard]] Netns& server() { return fabric.server(0); }
  [[nodiscard]] Json nic(const Json& document) {
    return nic_of(document, server().inode(), kNicInterface);
  }
  // Sends them, and waits until the witness has seen them all. The caller stays on its CPU.
  bool send(FrameSender& sender, std::vector<MadeFrame> frames);
  // Takes all connections that wait; they count as ended handshakes.
  void accept_all();
  // The tool and the witness agree.
  void expect_the_same();

 private:
  void open_listeners();
  // A document that says what the tool had seen while the witness saw nothing more.
  Json quiet_document();
};

}  // namespace lqtest
