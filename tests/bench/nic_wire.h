// SPDX-License-Identifier: Apache-2.0
//
// A server and a client, each in a network namespace of its own, joined by veth (lq0 to lq1), and
// what goes from one to the other. Called by nic.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nic_frames.h"
#include "traffic.h"

namespace listenq::bench {

class NicWire {
 public:
  static constexpr int kPort = 9101;         // listened to; connections are accepted by the loads
  static constexpr int kFloodPort = 9100;    // listened to; its SYN queue is full, without cookies
  static constexpr int kQuietPort = 9102;    // listened to with a long queue; nobody accepts
  static constexpr int kCrowdedPort = 9103;  // another one
  static constexpr int kQueue = 4096;
  static constexpr int kClosedPort = 9999;

  NicWire();
  ~NicWire();
  NicWire(const NicWire&) = delete;
  NicWire& operator=(const NicWire&) = delete;

  // This process, from now on.
  void enter_server() const;
  void leave() const;
  [[nodiscard]] int server() const { return server_; }
  void set_cookies(int value) const;  // tcp_syncookies of the server

  // Loads, with their process pinned; the kernel's receiving is done on the same CPU.
  [[nodiscard]] Load packets(double seconds) const;       // to a port without a listener
  [[nodiscard]] Load refused_syns(double seconds) const;  // of invented clients
  [[nodiscard]] Load connections(double seconds) const;
  [[nodiscard]] Load bulk(double seconds) const;  // events are bytes

  void send(const std::vector<Frame>& frames) const;
  // Sends SYNs of these clients, and tells the first sequence number of the server's answers.
  [[nodiscard]] std::map<std::uint32_t, std::uint32_t> ask(
      const std::vector<std::uint32_t>& clients, int port) const;
  // A connection that is complete, or soon is, at one of these two ports: taken off.
  [[nodiscard]] bool accept_one(int port) const;

  // A connection that stays open; returns the client's port.
  std::uint16_t open_connection();

 private:
  [[nodiscard]] Load flood(const std::vector<Frame>& frames, double seconds,
                           const std::string& group, const std::string& counter) const;

  std::string server_name_;
  std::string client_name_;
  int own_ = -1;
  int server_ = -1;
  int client_ = -1;
  int wire_ = -1;
  int listener_ = -1;
  int flood_listener_ = -1;
  int quiet_listener_ = -1;
  int crowded_listener_ = -1;
  std::vector<int> open_;
};

}  // namespace listenq::bench
