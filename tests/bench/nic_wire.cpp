// SPDX-License-Identifier: Apache-2.0
//
// See nic_wire.h.
#include "nic_wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "fail.h"
#include "measure.h"
#include "namespace.h"
#include "supervisor.h"

namespace listenq::bench {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kSources = 8192;
constexpr int kFloodBacklog = 16;
constexpr std::uint32_t kFillers = 0x0a4e0000U;  // fill the SYN queue
constexpr std::uint32_t kFloodSources = 0x0a500000U;
constexpr double kAnswerMs = 10000;

int open_wire(int protocol) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_protocol = htons(static_cast<std::uint16_t>(protocol));  // 0: it receives nothing
  link.sll_ifindex = static_cast<int>(if_nametoindex("lq1"));
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&link), sizeof(link)) != 0) {
    fail_errno("a packet socket");
  }
  const int on = 1;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
  return fd;
}

// Ready to be sent again and again.
class Volley {
 public:
  explicit Volley(const std::vector<Frame>& frames)
      : parts_(frames.size()), messages_(frames.size()) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      parts_[i] = {.iov_base = const_cast<std::uint8_t*>(frames[i].data()),
                   .iov_len = frames[i].size()};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  // Some of the frames from `at` on; returns how many.
  std::size_t send(int wire, std::size_t at) {
    const std::size_t batch = std::min(kBatch, messages_.size() - at);
    const int sent = sendmmsg(wire, &messages_[at], static_cast<unsigned>(batch), 0);
    if (sent < 0 && errno != ENOBUFS && errno != EAGAIN) fail_errno("sending frames");
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }

 private:
  std::vector<iovec> parts_;
  std::vector<mmsghdr> messages_;
};

std::vector<Frame> syns_from(std::uint32_t first, std::size_t count, int port) {
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < count; ++i) {
    const auto client = first + static_cast<std::uint32_t>(i);
    frames.push_back(frame_of({.client = client,
                               .server_port = static_cast<std::uint16_t>(port),
                               .flags = kSyn,
                               .seq = client}));
  }
  return frames;
}

std::uint32_t number_at(const Frame& frame, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, &frame[at], sizeof(value));
  return ntohl(value);
}

}  // namespace

NicWire::NicWire()
    : server_name_(namespace_prefix() + "nic-server"),
      client_name_(namespace_prefix() + "nic-client"),
      own_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
  make_namespace(server_name_);
  make_namespace(client_name_);
  server_ = open_namespace(server_name_);
  client_ = open_namespace(client_name_);
  // One hardware address at both ends, and no ARP: each end takes what the other one sends, whoever
  // it is for, and nobody has to answer for invented clients.
  constexpr const char* kHardware = "02:00:00:00:4d:01";
  run_ip(fmt::format("link add lq0 netns {} address {} type veth peer name lq1 address {} netns {}",
                     server_name_, kHardware, kHardware, client_name_));
  run_ip(fmt::format("-n {} link set lq1 up arp off", client_name_));
  run_ip(fmt::format("-n {} link set lq0 up arp off", server_name_));
  run_ip(fmt::format("-n {} address add 10.77.0.1/24 dev lq0", server_name_));
  run_ip(fmt::format("-n {} address add 10.77.0.2/24 dev lq1", client_name_));
  run_ip(fmt::format("-n {} route add default dev lq0", server_name_));
  enter_namespace(client_);
  wire_ = open_wire(0);
  enter_namespace(server_);
  for (const char* name : {"all", "default", "lq0"}) {
    set_sysctl(fmt::format("ipv4/conf/{}/rp_filter", name), "0");
  }
  set_sysctl("ipv4/tcp_syncookies", "0");
  listener_ = listen_on(address_of(INADDR_ANY, kPort), 128);
  flood_listener_ = listen_on(address_of(INADDR_ANY, kFloodPort), kFloodBacklog);
  quiet_listener_ = listen_on(address_of(INADDR_ANY, kQuietPort), kQueue);
  crowded_listener_ = listen_on(address_of(INADDR_ANY, kCrowdedPort), kQueue);
  leave();
}

NicWire::~NicWire() {
  for (const int fd : open_) close(fd);
  for (const int fd : {wire_, listener_, flood_listener_, quiet_listener_, crowded_listener_, own_,
                       server_, client_}) {
    close(fd);
  }
  remove_namespace(server_name_);
  remove_namespace(client_name_);
}

void NicWire::enter_server() const {
  enter_namespace(server_);
}

void NicWire::leave() const {
  enter_namespace(own_);
}

void NicWire::set_cookies(int value) const {
  enter_namespace(server_);
  set_sysctl("ipv4/tcp_syncookies", fmt::format("{}", value));
  leave();
}

// Events are what the server's kernel counts in `counter`: what it received, not what was sent.
Load NicWire::flood(const std::vector<Frame>& frames, double seconds, const std::string& group,
                    const std::string& counter) const {
  Volley volley(frames);
  return in_child(server_, [&] {
    const double before = tcp_counter(group, counter);
    std::size_t at = 0;
    for (const double end = now_ms() + seconds * 1e3; now_ms() < end;) {
      at += volley.send(wire_, at);
      if (at == frames.size()) at = 0;
    }
    return tcp_counter(group, counter) - before;
  });
}

Load NicWire::packets(double seconds) const {
  std::vector<Frame> frames;
  for (std::uint16_t i = 0; i < 256; ++i) {
    frames.push_back(frame_of({.client_port = static_cast<std::uint16_t>(40000 + i),
                               .server_port = kClosedPort,
                               .flags = kAck | kPsh,
                               .payload = 10,
                               .wrong_checksum = true}));
  }
  return flood(frames, seconds, "Tcp", "InCsumErrors");
}

Load NicWire::refused_syns(double seconds) const {
  send(syns_from(kFillers, 4UL * kFloodBacklog, kFloodPort));
  return flood(syns_from(kFloodSources, kSources, kFloodPort), seconds, "TcpExt",
               "TCPReqQFullDrop");
}

Load NicWire::connections(double seconds) const {
  const sockaddr_in target = address_of(kNicServer, kPort);
  return in_child(client_, [&] {
    int count = 0;
    for (const double end = now_ms() + seconds * 1e3; now_ms() < end; ++count) {
      const int client = connect_to(target);
      const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) fail_errno("accepting a connection");
      reset_on_close(accepted);
      close(accepted);
      close(client);
    }
    return static_cast<double>(count);
  });
}

Load NicWire::bulk(double seconds) const {
  const sockaddr_in target = address_of(kNicServer, kPort);
  return in_child(client_, [&] { return send_bulk(target, listener_, seconds); });
}

void NicWire::send(const std::vector<Frame>& frames) const {
  Volley volley(frames);
  for (std::size_t at = 0; at < frames.size();) at += volley.send(wire_, at);
}

std::map<std::uint32_t, std::uint32_t> NicWire::ask(const std::vector<std::uint32_t>& clients,
                                                    int port) const {
  enter_namespace(client_);
  const int answers = open_wire(ETH_P_IP);
  leave();
  std::map<std::uint32_t, std::uint32_t> numbers;
  Frame frame(2048);
  const auto read_answers = [&] {
    for (;;) {
      const ssize_t got = recv(answers, frame.data(), frame.size(), MSG_DONTWAIT);
      if (got < 0) return;
      constexpr std::size_t kIp = 14;
      constexpr std::size_t kTcp = 34;
      const bool synack = got >= 54 && (frame[kTcp + 13] & (kSyn | kAck)) == (kSyn | kAck);
      if (!synack || number_at(frame, kTcp) >> 16U != static_cast<std::uint32_t>(port)) continue;
      const std::uint32_t client = number_at(frame, kIp + 16);
      if (std::binary_search(clients.begin(), clients.end(), client)) {
        numbers[client] = number_at(frame, kTcp + 4);
      }
    }
  };
  for (const std::uint32_t client : clients) {
    send(syns_from(client, 1, port));
    read_answers();
  }
  pollfd wait{.fd = answers, .events = POLLIN, .revents = 0};
  for (const double end = now_ms() + kAnswerMs; numbers.size() < clients.size();) {
    if (now_ms() > end) fail("{} of {} SYNs were answered", numbers.size(), clients.size());
    poll(&wait, 1, 100);
    read_answers();
  }
  close(answers);
  return numbers;
}

bool NicWire::accept_one(int port) const {
  constexpr int kLimitMs = 500;
  const int listener = port == kQuietPort ? quiet_listener_ : crowded_listener_;
  pollfd wait{.fd = listener, .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, kLimitMs) <= 0) return false;
  const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (accepted < 0) fail_errno("accepting");
  reset_on_close(accepted);
  close(accepted);
  return true;
}

std::uint16_t NicWire::open_connection() {
  enter_namespace(client_);
  const int client = connect_to(address_of(kNicServer, kPort));
  leave();
  const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  sockaddr_in own{};
  socklen_t size = sizeof(own);
  if (accepted < 0 || getsockname(client, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    fail_errno("an open connection");
  }
  open_.push_back(client);
  open_.push_back(accepted);
  return ntohs(own.sin_port);
}

}  // namespace listenq::bench
