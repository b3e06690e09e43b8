// SPDX-License-Identifier: Apache-2.0
//
// See traffic.h. Each load runs in a forked process, pinned; what it did comes back through a pipe.
#include "traffic.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <vector>

#include "fail.h"
#include "measure.h"
#include "namespace.h"
#include "packets.h"
#include "supervisor.h"

namespace listenq::bench {
namespace {

constexpr int kFloodPort = 9100;
constexpr int kPort = 9101;
constexpr int kFloodBacklog = 16;
constexpr std::uint32_t kServer = 0x0a4d0001U;        // 10.77.0.1
constexpr std::uint32_t kFillers = 0x0a4e0000U;       // fill the SYN queue
constexpr std::uint32_t kFloodSources = 0x0a500000U;  // and are refused
constexpr std::size_t kSources = 8192;
constexpr std::size_t kBatch = 64;
constexpr std::array<unsigned char, ETH_ALEN> kServerHardware = {2, 0, 0, 0, 0x4d, 1};
constexpr double kLimitSeconds = 120;

struct Frame {
  ethhdr ethernet;
  Packet packet;
} __attribute__((packed));

std::vector<Frame> frames_from(std::uint32_t first, std::size_t count) {
  const sockaddr_in target = address_of(kServer, kFloodPort);
  std::vector<Frame> frames(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(frames[i].ethernet.h_dest, kServerHardware.data(), ETH_ALEN);
    frames[i].ethernet.h_proto = htons(ETH_P_IP);
    frames[i].packet = client_packet(first + static_cast<std::uint32_t>(i), target, false);
  }
  return frames;
}

int open_wire() {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);  // 0: it receives nothing
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_ifindex = static_cast<int>(if_nametoindex("lq1"));
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&link), sizeof(link)) != 0) {
    fail_errno("a packet socket");
  }
  const int on = 1;
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
  return fd;
}

// All of the frames, again and again, until `count` are sent.
void send_frames(int wire, std::vector<Frame>& frames, std::size_t count) {
  std::vector<iovec> parts(frames.size());
  std::vector<mmsghdr> messages(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    parts[i] = {.iov_base = &frames[i], .iov_len = sizeof(Frame)};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (std::size_t done = 0; done < count;) {
    const std::size_t at = done % frames.size();
    const std::size_t batch = std::min({kBatch, count - done, frames.size() - at});
    const int sent = sendmmsg(wire, &messages[at], static_cast<unsigned>(batch), 0);
    if (sent < 0 && errno != ENOBUFS && errno != EAGAIN) fail_errno("sending SYNs");
    if (sent > 0) done += static_cast<std::size_t>(sent);
  }
}

}  // namespace

sockaddr_in address_of(std::uint32_t address, int port) {
  sockaddr_in whole{};
  whole.sin_family = AF_INET;
  whole.sin_port = htons(static_cast<std::uint16_t>(port));
  whole.sin_addr.s_addr = htonl(address);
  return whole;
}

int listen_on(const sockaddr_in& address, int backlog) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd, backlog) != 0) {
    fail_errno("listening on port {}", ntohs(address.sin_port));
  }
  return fd;
}

double tcp_counter(const std::string& group, const std::string& name) {
  std::ifstream file(group == "Tcp" ? "/proc/thread-self/net/snmp"
                                    : "/proc/thread-self/net/netstat");
  for (std::string names; std::getline(file, names);) {
    std::string values;
    std::getline(file, values);
    if (!names.starts_with(group + ":")) continue;
    std::istringstream name_words(names);
    std::istringstream value_words(values);
    std::string value;
    for (std::string word; name_words >> word && value_words >> value;) {
      if (word == name) return std::strtod(value.c_str(), nullptr);
    }
  }
  fail("the kernel has no counter {}", name);
}

void reset_on_close(int fd) {
  const linger off{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

int connect_to(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fail_errno("connecting to the own listener");
  }
  return fd;
}

double thread_cpu_s() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Load in_child(int netns, const std::function<double()>& load) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail_errno("pipe");
  std::fflush(nullptr);
  const double started = now_ms();
  const pid_t pid = fork();
  if (pid < 0) fail_errno("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    enter_namespace(netns);
    pin(1);
    Load done;
    const double wall = now_ms();
    const double cpu = thread_cpu_s();
    done.events = load();
    done.cpu_s = thread_cpu_s() - cpu;
    done.wall_s = (now_ms() - wall) / 1e3;
    _exit(write(ends[1], &done, sizeof(done)) == sizeof(done) ? 0 : 1);
  }
  close(ends[1]);
  Load done;
  const bool told = read(ends[0], &done, sizeof(done)) == sizeof(done);
  close(ends[0]);
  finish(pid, started, kLimitSeconds, "a load");
  if (!told) fail("a load told nothing");
  return done;
}

void run_ip(const std::string& line) {
  const Command command{.id = "ip " + line, .argv = {"sh", "-c", "ip " + line}};
  output_of(command, -1, kLimitSeconds);
}

void drain(int fd) {
  std::vector<char> buffer(256UL * 1024);
  while (read(fd, buffer.data(), buffer.size()) > 0) {
  }
}

Traffic::Traffic()
    : server_name_(namespace_prefix() + "server"), client_name_(namespace_prefix() + "client") {
  make_namespace(server_name_);
  make_namespace(client_name_);
  server_ = open_namespace(server_name_);
  client_ = open_namespace(client_name_);
  run_ip(
      fmt::format("link add lq0 netns {} address 02:00:00:00:4d:01 type veth peer name lq1 "
                  "netns {}",
                  server_name_, client_name_));
  run_ip(fmt::format("-n {} link set lq1 up", client_name_));
  // Without ARP: nobody would answer for the invented clients.
  run_ip(fmt::format("-n {} link set lq0 up arp off", server_name_));
  run_ip(fmt::format("-n {} address add 10.77.0.1/24 dev lq0", server_name_));
  run_ip(fmt::format("-n {} route add default dev lq0", server_name_));

  own_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  enter_namespace(server_);
  for (const char* name : {"all", "default", "lq0"}) {
    set_sysctl(fmt::format("ipv4/conf/{}/rp_filter", name), "0");
  }
  set_sysctl("ipv4/tcp_syncookies", "0");
  flood_listener_ = listen_on(address_of(kServer, kFloodPort), kFloodBacklog);
  listener_ = listen_on(address_of(INADDR_LOOPBACK, kPort), 128);
  enter_namespace(own_);
}

Traffic::~Traffic() {
  for (const int fd : {flood_listener_, listener_, own_, server_, client_}) close(fd);
  remove_namespace(server_name_);
  remove_namespace(client_name_);
}

Load Traffic::refused_syns(int count) {
  // What is not the kernel's work for a SYN is done before the clocks start.
  enter_namespace(client_);
  const int wire = open_wire();
  enter_namespace(server_);
  std::vector<Frame> fillers = frames_from(kFillers, 4UL * kFloodBacklog);
  std::vector<Frame> flood = frames_from(kFloodSources, kSources);
  send_frames(wire, fillers, fillers.size());
  const double before = tcp_counter("TcpExt", "TCPReqQFullDrop");
  Load done = in_child(server_, [&] {
    send_frames(wire, flood, static_cast<std::size_t>(count));
    return 0.0;
  });
  done.events = tcp_counter("TcpExt", "TCPReqQFullDrop") - before;
  close(wire);
  enter_namespace(own_);
  if (done.events < 0.95 * count) fail("{} of {} SYNs were refused", done.events, count);
  return done;
}

Load Traffic::connections(int count) {
  const sockaddr_in target = address_of(INADDR_LOOPBACK, kPort);
  return in_child(server_, [&] {
    for (int i = 0; i < count; ++i) {
      const int client = connect_to(target);
      const int accepted = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) fail_errno("accepting connection {}", i);
      // No TIME_WAIT, which would fill the kernel's connection hash.
      reset_on_close(accepted);
      close(accepted);
      close(client);
    }
    return static_cast<double>(count);
  });
}

double send_bulk(const sockaddr_in& target, int listener, double seconds) {
  const int client = connect_to(target);
  const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (accepted < 0) fail_errno("accepting a connection");
  const pid_t reader = fork();
  if (reader < 0) fail_errno("fork");
  if (reader == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(0);
    close(client);
    drain(accepted);
    reset_on_close(accepted);
    _exit(0);
  }
  close(accepted);
  const std::vector<char> data(256UL * 1024);
  double bytes = 0;
  for (const double end = now_ms() + seconds * 1e3; now_ms() < end;) {
    const ssize_t sent = write(client, data.data(), data.size());
    if (sent < 0) fail_errno("sending");
    bytes += static_cast<double>(sent);
  }
  shutdown(client, SHUT_WR);
  if (waitpid(reader, nullptr, 0) != reader) fail_errno("waiting for the reader");
  return bytes;
}

Load Traffic::bulk(double seconds) {
  const sockaddr_in target = address_of(INADDR_LOOPBACK, kPort);
  return in_child(server_, [&] { return send_bulk(target, listener_, seconds); });
}

}  // namespace listenq::bench
