// SPDX-License-Identifier: Apache-2.0
// The storm: see storm.h.
#include "storm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>

#include "process.h"
#include "raw_client.h"
#include "ss.h"
#include "watch.h"

namespace lqtest {
namespace {

constexpr unsigned kGenerators = 2;

// Of each server in each round.
struct Settings {
  const char* syncookies;
  const char* abort_on_overflow;
  const char* max_syn_backlog;
  const char* migrate;
};
constexpr std::array<std::array<Settings, Storm::kServers>, 2> kRounds{{
    {{{"0", "0", "4096", "0"}, {"1", "1", "4096", "0"}, {"2", "0", "4096", "1"}}},
    {{{"0", "1", "64", "0"}, {"1", "0", "4096", "1"}, {"2", "1", "4096", "0"}}},
}};

// Ports that close in the middle of a round. The first is listened on anew.
constexpr uint16_t kReopened = 9005;
constexpr uint16_t kClosedForGood = 9010;
// Not for the flood.
constexpr uint16_t kLosesAcks = 9020;

void close_with_reset(Fd& socket) {
  const linger reset{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  socket.reset();
}

// Threads whose exceptions come out of join(); joined in any case.
class Crowd {
 public:
  Crowd() = default;
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() {
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

  void add(std::function<void()> work) {
    threads_.emplace_back([this, work = std::move(work)] {
      try {
        work();
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex_);
        failure_ = std::current_exception();
      }
    });
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

class SetAtEnd {
 public:
  explicit SetAtEnd(std::atomic<bool>& flag) : flag_(flag) {}
  SetAtEnd(const SetAtEnd&) = delete;
  SetAtEnd& operator=(const SetAtEnd&) = delete;
  ~SetAtEnd() { flag_ = true; }

 private:
  std::atomic<bool>& flag_;
};

// Takes connections until the end of the storm, and counts them; holds few.
void accept_until(const Fd& listener, const std::atomic<bool>& over, bool slowly,
                  std::atomic<uint64_t>& taken) {
  std::deque<Fd> held;
  while (!over) {
    pollfd polled{listener.get(), POLLIN, 0};
    if (::poll(&polled, 1, 50) <= 0) continue;
    Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) continue;
    ++taken;
    held.push_back(std::move(socket));
    if (held.size() > 16) {
      close_with_reset(held.front());
      held.pop_front();
    }
    if (slowly) std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  for (Fd& socket : held) close_with_reset(socket);
}

}  // namespace

uint64_t storm_size() {
  const char* given = std::getenv("LISTENQ_STORM_SYNS");
  if (given != nullptr && *given != '\0') return std::stoull(given);
  return is_emulated() ? 20'000 : 200'000;
}

Storm::Storm() : fabric_("storm", kServers) {
  apply_settings(0);
  for (size_t i = 0; i < kServers; ++i) {
    // So that the storm ends soon after its last segment.
    if (!server(i).write_sysctl("ipv4/tcp_synack_retries", "1"))
      throw std::runtime_error("tcp_synack_retries cannot be set");
    server(i).ip(fmt::format("route add unreachable {}\nroute add unreachable {}\n",
                             kSomeFloodSources, kSomeFloodSources6));
    open_all(i);
  }
  for (unsigned i = 0; i < kGenerators; ++i)
    floods_.push_back(std::make_unique<Flood>(fabric_, targets_, i));
}

Storm::~Storm() {
  over_ = true;
  for (std::thread& thread : acceptors_) thread.join();
}

void Storm::apply_settings(size_t round) {
  for (size_t i = 0; i < kServers; ++i) {
    const Settings& settings = kRounds[round][i];
    const auto set = [&](const char* name, const char* value) {
      if (!server(i).write_sysctl(std::string("ipv4/") + name, value))
        throw std::runtime_error(std::string(name) + " cannot be set");
    };
    set("tcp_syncookies", settings.syncookies);
    set("tcp_abort_on_overflow", settings.abort_on_overflow);
    set("tcp_max_syn_backlog", settings.max_syn_backlog);
    set("tcp_migrate_req", settings.migrate);
  }
}

void Storm::open(size_t server, const ListenerSpec& spec) {
  fabric_.server(server).run(
      [&] { idle_.emplace(std::pair(server, spec.port), open_listener(spec)); });
  ++opened_;
}

void Storm::open_accepting(size_t server, const ListenerSpec& spec, bool slowly) {
  fabric_.server(server).run(
      [&] { accepting_.push_back(std::make_unique<Fd>(open_listener(spec))); });
  const Fd& listener = *accepting_.back();
  if (::fcntl(listener.get(), F_SETFL, O_NONBLOCK) != 0) throw_errno("O_NONBLOCK");
  std::atomic<uint64_t>& taken = taken_[{server, spec.port}];
  acceptors_.emplace_back(
      [&listener, &taken, slowly, this] { accept_until(listener, over_, slowly, taken); });
  ++opened_;
}

// Two threads of another process sleep in accept().
void Storm::open_in_process(size_t server, const ListenerSpec& spec) {
  owners_.emplace_back(OwnerOptions{.name = "lq-accept", .netns_fd = fabric_.server(server).fd()},
                       [&](OwnerBody& body) {
                         const int listener = body.keep(open_listener(spec)).get();
                         for (int i = 0; i < 2; ++i) {
                           std::thread([listener] {
                             while (true) {
                               Fd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
                               if (!socket.valid()) break;
                               close_with_reset(socket);
                             }
                           }).detach();
                         }
                       });
  ++opened_;
}

void Storm::open_all(size_t server) {
  // Processes first: they are forked off, and threads do not go along.
  open_in_process(server, {.address = "::", .port = 9004, .backlog = 128});
  open_in_process(server, {.port = 9007, .backlog = 1024});
  open(server, {.port = 9000, .backlog = 0});
  open(server, {.address = "::", .port = 9001, .backlog = 1});
  open(server, {.port = kReopened, .backlog = 64});
  for (int i = 0; i < 3; ++i)
    open(server, {.address = "::", .port = kGroup, .backlog = 32, .reuseport = true});
  open(server, {.address = "::", .port = 9008, .backlog = 4096});
  open(server, {.port = 9009, .backlog = 16});
  const int seconds = 1;
  const Fd& deferring = idle_.find({server, uint16_t{9009}})->second;
  if (::setsockopt(deferring.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) != 0)
    throw_errno("TCP_DEFER_ACCEPT");
  open(server, {.address = "::", .port = kClosedForGood, .backlog = 2});
  open_accepting(server, {.address = "::", .port = 9002, .backlog = 5, .v6only = true}, false);
  open_accepting(server, {.port = 9003, .backlog = 16}, true);
  open(server, {.address = "::", .port = kLosesAcks, .backlog = 3});
  const bool mptcp = kernel_has_mptcp();
  if (mptcp)
    open_accepting(server, {.address = "::", .port = 9011, .backlog = 8, .mptcp = true}, true);
  for (uint16_t port = 9000; port <= (mptcp ? 9011 : 9010); ++port) {
    const bool only_v4 =
        port == 9000 || port == 9003 || port == kReopened || port == 9007 || port == 9009;
    if (port != 9002) targets_.push_back({server, false, port});
    if (!only_v4) targets_.push_back({server, true, port});
  }
}

void Storm::earlier_losses() {
  for (size_t i = 0; i < kServers; ++i) {
    std::vector<FloodTarget> small;
    for (const FloodTarget& target : targets_)
      if (target.server == i && target.port <= 9001) small.push_back(target);
    Flood(fabric_, small, 9).send(200);
  }
}

void Storm::close_some(size_t round) {
  for (size_t i = 0; i < kServers; ++i) {
    const auto close_one = [&](uint16_t port) {
      const auto found = idle_.find({i, port});
      if (found != idle_.end()) idle_.erase(found);
    };
    close_one(kReopened);
    close_one(kGroup);
    if (round == 1) close_one(kClosedForGood);
  }
}

void Storm::reopen_some(size_t round) {
  for (size_t i = 0; i < kServers; ++i) {
    open(i, {.port = kReopened, .backlog = round == 0 ? 3 : 256});
    if (round == 0) open(i, {.address = "::", .port = kGroup, .backlog = 8, .reuseport = true});
  }
}

namespace {

// In the flood a SYN may be lost on its way, or its SYN-ACK: then it is sent again, as TCP does.
void begin_handshake(RawConnection& connection) {
  for (int i = 0; i < 30; ++i) {
    connection.send_syn();
    if (connection.await_synack(std::chrono::seconds(1))) return;
  }
  throw std::runtime_error("no SYN-ACK in the storm");
}

}  // namespace

void Storm::lose_at_the_ack(size_t server) {
  RawWire wire(fabric_, server);
  const auto connection = [&](size_t i) {
    return RawConnection(wire, Fabric::server_address(server, i % 2 == 0), kLosesAcks);
  };
  std::vector<RawConnection> late;
  for (size_t i = 0; i < 2; ++i) {
    late.push_back(connection(i));
    begin_handshake(late.back());
  }
  for (size_t i = 0; i < 4; ++i) {
    RawConnection one = connection(i);
    begin_handshake(one);
    one.send_ack();
  }
  for (RawConnection& one : late) {
    for (int i = 0; i < 3; ++i) one.send_ack();
    one.send_reset();
  }
  // Room for the next round.
  const Fd& listener = idle_.find({server, kLosesAcks})->second;
  for (pollfd polled{listener.get(), POLLIN, 0}; ::poll(&polled, 1, 500) > 0;) {
    Fd socket = accept_from(listener);
    close_with_reset(socket);
  }
}

void Storm::be_clients(unsigned number, uint64_t count) {
  std::deque<Fd> open;
  const auto end_one = [&](uint64_t i) {
    Fd socket = std::move(open.front());
    open.pop_front();
    if (i % 3 == 0) (void)!::send(socket.get(), "hello", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (i % 3 == 1) close_with_reset(socket);
  };
  for (uint64_t i = 0; i < count; ++i) {
    const FloodTarget& target = targets_[(i * 7 + number) % targets_.size()];
    open.push_back(start_connect(Fabric::server_address(target.server, target.v6), target.port));
    ++connects_;
    if (open.size() > 200) end_one(i);
  }
  for (Fd& socket : open) close_with_reset(socket);
}

void Storm::run(uint64_t syns) {
  for (size_t round = 0; round < kRounds.size(); ++round) {
    apply_settings(round);
    run_round(round, syns / kRounds.size());
  }
  for (const auto& flood : floods_) sent_ += flood->sent();
}

void Storm::run_round(size_t round, uint64_t syns) {
  const uint64_t share = syns / kGenerators;
  std::atomic<uint64_t> progress{0};
  std::atomic<bool> answered{false};
  Crowd answering;
  Crowd senders;
  const SetAtEnd end(answered);  // also when something throws here
  for (size_t i = 0; i < kServers; ++i)
    answering.add([&, i] { acks_ += answer_some(fabric_, i, answered); });
  for (unsigned k = 0; k < kGenerators; ++k) {
    senders.add([&, k] {
      for (uint64_t done = 0; done < share;) {
        const uint64_t part = std::min<uint64_t>(share - done, 512);
        floods_[k]->send(part);
        done += part;
        progress += part;
      }
    });
    senders.add([&, k] { fabric_.client().run([&] { be_clients(k, syns / 100); }); });
  }
  const auto await_sixths = [&](uint64_t sixths) {
    const auto reached = [&] { return progress >= share * kGenerators * sixths / 6; };
    if (!wait_until(reached, std::chrono::minutes(5))) throw std::runtime_error("no storm");
  };
  await_sixths(2);
  close_some(round);
  for (size_t i = 0; i < kServers; ++i) lose_at_the_ack(i);
  await_sixths(4);
  reopen_some(round);
  senders.join();
  answered = true;
  answering.join();
}

void Storm::calm() {
  const auto still_waiting = [&] {
    for (size_t i = 0; i < kServers; ++i)
      for (const auto& [port, requests] : ss_half_open(server(i)))
        if (requests != 0) return true;
    return false;
  };
  if (!wait_until([&] { return !still_waiting(); }, std::chrono::minutes(2)))
    throw std::runtime_error("the half-open requests do not end");
  const auto counters = [&] {
    std::vector<int64_t> values;
    for (size_t i = 0; i < kServers; ++i)
      for (const auto& [name, value] : server(i).mib())
        if (name.starts_with("Listen") || name.starts_with("Syncookies") ||
            name.starts_with("TCPReqQ"))
          values.push_back(value);
    return values;
  };
  std::vector<int64_t> before = counters();
  const auto quiet = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return counters() == std::exchange(before, counters());
  };
  if (!wait_until(quiet, std::chrono::minutes(1)))
    throw std::runtime_error("the kernel's counters do not come to rest");
}

}  // namespace lqtest
