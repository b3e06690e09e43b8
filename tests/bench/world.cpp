// SPDX-License-Identifier: Apache-2.0
//
// Makes the worlds. Each holder is a forked process that sets up its share, reports through a pipe
// and then waits for SIGKILL; the connections carry SO_LINGER 0, so that their end leaves no
// TIME_WAIT behind: the kernel's connection hash is shared by all namespaces, and what one world
// left there would slow the next one down.
#include "world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <utility>

#include "fail.h"
#include "namespace.h"
#include "packets.h"
#include "supervisor.h"

namespace listenq::bench {
namespace {

constexpr int kFirstPort = 10000;
constexpr int kHalfOpenPort = 9000;
constexpr int kConnectPort = 9001;
constexpr int kPairsPerProcess = 5000;
constexpr int kSetupSeconds = 120;
constexpr std::uint32_t kFirstClient = 0x0a010000U;  // 10.1.0.0

sockaddr_in loopback(int last_two_bytes, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(0x7f000000U | static_cast<std::uint32_t>(last_two_bytes));
  return address;
}

void require_descriptors(int count) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = static_cast<rlim_t>(count) + 64;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  limit.rlim_max = std::max(limit.rlim_max, wanted);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    fail_errno("a holder may not open {} descriptors (ulimit -n)", wanted);
  }
}

int listen_on(const sockaddr_in& address, int backlog) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail_errno("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd, backlog) != 0) {
    fail_errno("listening on port {}", ntohs(address.sin_port));
  }
  return fd;
}

void open_listeners(int first, int count) {
  require_descriptors(count);
  for (int i = 0; i < count; ++i) listen_on(loopback(1, kFirstPort + first + i), 128);
}

void open_descriptors(int count) {
  require_descriptors(2 * count);
  for (int i = 0; i < count; ++i) {
    int fd = -1;
    if (i % 3 == 0) fd = eventfd(0, EFD_CLOEXEC);
    if (i % 3 == 1) fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (i % 3 == 2) fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail_errno("descriptor {} of a holder", i);
  }
}

void reset_on_close(int fd) {
  const linger off{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

// Each process has a server and a client address of its own, and so all ephemeral ports.
void open_connections(int process, int pairs) {
  require_descriptors(2 * pairs + 1);
  const sockaddr_in server = loopback(0x10000 + process, kConnectPort);
  const sockaddr_in client = loopback(0x20000 + process, 0);
  const int listener = listen_on(server, 128);
  for (int i = 0; i < pairs; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&client), sizeof(client)) != 0 ||
        connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof(server)) != 0) {
      fail_errno("connection {} of a holder", i);
    }
    const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted < 0) fail_errno("accepting connection {}", i);
    reset_on_close(fd);
    reset_on_close(accepted);
  }
  close(listener);
}

// The requests' timers run on the CPU that received the SYN: with the sender on the first CPU,
// the SYN-ACKs sent again disturb only that one.
void send_from_clients(const sockaddr_in& target, int count, bool reset) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  sched_setaffinity(0, sizeof(cpus), &cpus);
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) fail_errno("raw socket");
  for (int i = 0; i < count; ++i) {
    const std::uint32_t source = kFirstClient + static_cast<std::uint32_t>(i);
    const Packet packet = client_packet(source, target, reset);
    if (sendto(fd, &packet, sizeof(packet), 0, reinterpret_cast<const sockaddr*>(&target),
               sizeof(target)) < 0) {
      fail_errno("sending packet {} of the half-open clients", i);
    }
  }
  close(fd);
}

// TCP sockets of all namespaces ("alloc" is not per namespace).
long allocated_sockets() {
  std::ifstream file("/proc/net/sockstat");
  for (std::string word; file >> word;) {
    long value = 0;
    if (word == "alloc" && file >> value) return value;
  }
  fail("/proc/net/sockstat has no count of TCP sockets");
}

void end_process(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

World::World(WorldSpec spec)
    : spec_(std::move(spec)),
      prefix_(namespace_prefix() + spec_.name),
      sockets_before_(allocated_sockets()) {
  make_namespace(prefix_);
  netns_ = open_namespace(prefix_);
  const int owners = std::max(1, std::min(spec_.listener_owners, spec_.listeners));
  for (int i = 0; i < owners; ++i) {
    const int first = spec_.listeners * i / owners;
    const int count = spec_.listeners * (i + 1) / owners - first;
    holders_.push_back(hold(netns_, [&] {
      open_listeners(first, count);
      open_descriptors(spec_.extra_descriptors);
    }));
  }
  int process = 0;
  for (int left = spec_.sockets / 2; left > 0; left -= kPairsPerProcess) {
    const int pairs = std::min(left, kPairsPerProcess);
    ++process;
    holders_.push_back(hold(netns_, [&] { open_connections(process, pairs); }));
  }
  for (int i = 0; i < spec_.idle_namespaces; ++i) {
    const std::string name = fmt::format("{}-{}", prefix_, i);
    make_namespace(name);
    idle_.push_back(open_namespace(name));
  }
  if (!idle_.empty()) {
    holders_.push_back(hold(netns_, [&] {
      for (const int fd : idle_) {
        enter_namespace(fd);
        listen_on(loopback(1, kFirstPort), 128);
      }
    }));
  }
}

World::~World() {
  drop_half_open();
  for (const pid_t holder : holders_) end_process(holder);
  close(netns_);
  for (const int fd : idle_) close(fd);
  for (const std::string& name : named_namespaces(prefix_)) remove_namespace(name);
  // Closing goes on after the process is gone; the next world must not find these sockets.
  const long allowed = sockets_before_ + spec_.listeners / 100 + 100;
  for (int tries = 0; allocated_sockets() > allowed && tries < 200; ++tries) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 50'000'000};
    nanosleep(&pause, nullptr);
  }
}

// Forks a process that runs `setup` inside the namespace and then waits to be killed.
pid_t World::hold(int netns, const std::function<void()>& setup) {
  std::array<int, 2> ready{};
  if (pipe2(ready.data(), O_CLOEXEC) != 0) fail_errno("pipe");
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) fail_errno("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "lq-bench-holder");
    alarm(kSetupSeconds);
    enter_namespace(netns);
    setup();
    alarm(0);
    if (write(ready[1], "k", 1) != 1) _exit(1);
    close(ready[0]);
    close(ready[1]);
    for (;;) pause();
  }
  close(ready[1]);
  char answer = 0;
  const ssize_t got = read(ready[0], &answer, 1);
  close(ready[0]);
  if (got != 1) fail("a holder of the world {} could not set itself up", spec_.name);
  return pid;
}

void World::hold_half_open(int count) {
  drop_half_open();
  half_open_ = count;
  const sockaddr_in target = loopback(1, kHalfOpenPort);
  half_open_holder_ = hold(netns_, [&] {
    // Room for all of them in both limits, no cookies, and no end by time-out within the run.
    set_sysctl("core/somaxconn", "1000000");
    set_sysctl("ipv4/tcp_max_syn_backlog", "1000000");
    set_sysctl("ipv4/tcp_syncookies", "0");
    set_sysctl("ipv4/tcp_synack_retries", "8");
    route_sink();
    listen_on(target, 1000000);
    // Twice, because a busy machine may drop a few; a SYN whose request is there makes no other.
    send_from_clients(target, count, false);
    send_from_clients(target, count, false);
  });
}

// A closed listener's requests stay in the connection hash until their timers run out, so each
// client takes its own back first.
void World::drop_half_open() {
  if (half_open_holder_ < 0) return;
  const sockaddr_in target = loopback(1, kHalfOpenPort);
  end_process(hold(netns_, [&] { send_from_clients(target, half_open_, true); }));
  end_process(half_open_holder_);
  half_open_holder_ = -1;
}

}  // namespace listenq::bench
