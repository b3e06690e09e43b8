// SPDX-License-Identifier: Apache-2.0
//
// See bpf_backend.h.
#include "probe/bpf_backend.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <unordered_map>

#include "probe/diag_backend.h"
#include "probe/listener_record.h"
#include "probe/waiting_programs.h"
#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

using Program = BpfPrograms::Program;

/// What a walk of the connection hash may take in one sample once the tool watches; namespaces
/// beyond it wait for their turn. Only matters where sockets can't be marked.
constexpr std::uint64_t kWalkBudgetNs = 20'000'000;

/// From so many connections in a namespace on, iter/tcp costs less than sock_diag and its
/// completion. How many of the sockets are listeners is known from the second sample on.
constexpr std::uint64_t kManyConnections = 3000;

/// Measured on 6.18: an empty bucket of the hash, and a descriptor in iter/task_file.
constexpr double kNsPerBucket = 8;
constexpr double kNsPerFile = 500;

double first_number(const char* path, double otherwise) {
  const auto text = read_small_file(path);
  if (!text) return otherwise;
  return std::abs(std::strtod(text->c_str(), nullptr));
}

/// TCP sockets of the namespace that the thread is in, listening or connected, both families.
std::uint64_t sockets_in_namespace() {
  std::uint64_t sockets = 0;
  for (const auto& [path, key] : {std::pair("/proc/thread-self/net/sockstat", "TCP: inuse "),
                                  std::pair("/proc/thread-self/net/sockstat6", "TCP6: inuse ")}) {
    const std::string text = read_small_file(path).value_or("");
    const std::size_t at = text.find(key);
    if (at == std::string::npos) continue;
    sockets += std::strtoull(text.c_str() + at + std::strlen(key), nullptr, 10);
  }
  return sockets;
}

class BpfBackend final : public Backend {
 public:
  BpfBackend(std::unique_ptr<BpfPrograms> programs, const KernelFacts& facts, const Plan& plan)
      : programs_(std::move(programs)),
        facts_(facts),
        diag_(facts[Feature::sock_diag].have),
        cookies_(facts[Feature::cookie_helper].have),
        can_tell_holders_(plan.owners_from_bpf) {}

  Result<void> read_namespace(NetnsId netns, const ReadRequest& request,
                              std::vector<RawListener>& listeners) override;
  void complete(std::vector<RawListener>& listeners, const ReadRequest& request,
                const Enter& enter) override;
  std::optional<std::vector<ListenerHolder>> take_holders() override;
  void read_waiting(std::vector<RawCloseUp>& close_ups, const Enter& enter) override;
  void account(RawSelf& self) const override;
  void list_programs(std::vector<RawProgram>& programs) const override;

 private:
  /// The listeners of this sample that BPF has not told about yet.
  class Pending {
   public:
    explicit Pending(std::vector<RawListener>& listeners);
    /// A record of a listener that is not listed, or was told already, is passed over.
    void take(const listenq_listener_record& record);
    [[nodiscard]] std::set<NetnsId> namespaces() const;
    [[nodiscard]] bool empty() const { return left_ == 0; }

   private:
    std::vector<RawListener>& listeners_;
    [[nodiscard]] std::optional<std::size_t> place_of(const listenq_listener_record& record);
    std::unordered_map<std::uint64_t, std::size_t> by_cookie_;
    /// For records without a cookie: made when the first one comes.
    std::optional<std::unordered_map<std::uint64_t, std::size_t>> by_inode_;
    std::size_t left_ = 0;
  };

  void fill(Pending& pending, const ReadRequest& request, const Enter& enter);
  void read_listeners(Program program, Pending& pending);
  void read_files(Pending& pending);
  void mark(std::span<const ListenerDescriptor> descriptors);
  void walk_namespaces(Pending& pending, const Enter& enter);
  [[nodiscard]] bool files_are_cheaper(std::size_t namespaces) const;
  [[nodiscard]] bool iterator_is_cheaper(NetnsId netns, const ReadRequest& request) const;

  std::unique_ptr<BpfPrograms> programs_;
  std::unique_ptr<WaitingPrograms> waiting_;  ///< null: not asked for yet, or not to be had
  bool waiting_tried_ = false;
  KernelFacts facts_;
  bool diag_;
  bool cookies_;
  bool can_tell_holders_;
  bool first_sample_ = true;
  bool descriptors_marked_ = false;
  std::uint64_t walks_ = 0;
  std::uint64_t walks_put_off_ = 0;
  std::uint64_t read_errors_ = 0;
  std::map<NetnsId, std::uint64_t> listeners_before_;  ///< in the sample before
  NetnsId walk_after_{};  ///< the namespaces after this one are walked first
  std::optional<std::vector<ListenerHolder>> holders_;
};

BpfBackend::Pending::Pending(std::vector<RawListener>& listeners) : listeners_(listeners) {
  for (const RawListener& listener : listeners) left_ += listener.syn_queue_len ? 0U : 1U;
  by_cookie_.reserve(left_);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    if (listeners[i].syn_queue_len || !listeners[i].cookie) continue;
    by_cookie_.emplace(number(*listeners[i].cookie), i);
  }
}

std::optional<std::size_t> BpfBackend::Pending::place_of(const listenq_listener_record& record) {
  if ((record.has & LISTENQ_HAS_COOKIE) != 0) {
    const auto found = by_cookie_.find(record.cookie);
    return found != by_cookie_.end() ? std::optional(found->second) : std::nullopt;
  }
  if (!by_inode_) {
    by_inode_.emplace();
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      if (listeners_[i].syn_queue_len || listeners_[i].inode == 0) continue;
      by_inode_->emplace(listeners_[i].inode, i);
    }
  }
  const auto found = by_inode_->find(record.inode);
  return found != by_inode_->end() ? std::optional(found->second) : std::nullopt;
}

void BpfBackend::Pending::take(const listenq_listener_record& record) {
  const std::optional<std::size_t> place = place_of(record);
  if (!place || listeners_[*place].syn_queue_len) return;
  apply(record, listeners_[*place]);
  --left_;
}

std::set<NetnsId> BpfBackend::Pending::namespaces() const {
  std::set<NetnsId> namespaces;
  for (const RawListener& listener : listeners_) {
    if (!listener.syn_queue_len) namespaces.insert(listener.netns);
  }
  return namespaces;
}

/// iter/tcp alone, or sock_diag and then the rest by other iterators? The walk for the first
/// connection to stop at is short where there are many, and small against many listeners; where
/// there are few of both it is what the call costs.
bool BpfBackend::iterator_is_cheaper(NetnsId netns, const ReadRequest& request) const {
  if (!diag_) return true;
  // Without its helper iter/tcp knows the cookie only of a socket that sock_diag was asked about.
  if (!request.syn_queue || !cookies_) return false;
  std::uint64_t listeners = 0;
  if (programs_->has(Program::sk_storage) && programs_->marks_itself()) {
    const auto known = listeners_before_.find(netns);
    if (known != listeners_before_.end()) listeners = known->second;
  }
  if (sockets_in_namespace() >= kManyConnections + listeners) return true;
  return first_sample_ && !request.holders && !files_are_cheaper(request.namespaces);
}

Result<void> BpfBackend::read_namespace(NetnsId netns, const ReadRequest& request,
                                        std::vector<RawListener>& listeners) {
  // Where BPF completes the listeners it also reads their drops.
  const bool sk_drops = request.sk_drops && !request.syn_queue;
  if (!iterator_is_cheaper(netns, request)) return dump_listeners(netns, sk_drops, listeners);
  ++walks_;
  programs_->set({.mark = false});
  const std::string error =
      programs_->read(Program::tcp, sizeof(listenq_listener_record), [&](const void* data) {
        listeners.push_back(
            make_listener(*static_cast<const listenq_listener_record*>(data), netns));
      });
  if (!error.empty()) return failure(ErrorKind::unsupported, "iter/tcp: " + error);
  return {};
}

void BpfBackend::read_listeners(Program program, Pending& pending) {
  const std::string error = programs_->read(
      program, sizeof(listenq_listener_record),
      [&](const void* data) { pending.take(*static_cast<const listenq_listener_record*>(data)); });
  if (!error.empty()) ++read_errors_;
}

void BpfBackend::read_files(Pending& pending) {
  programs_->set({.owners_only = pending.empty()});
  std::vector<ListenerHolder> holders;
  const std::string error =
      programs_->read(Program::task_file, sizeof(listenq_owner_record), [&](const void* data) {
        const auto& record = *static_cast<const listenq_owner_record*>(data);
        if (record.is_tcp != 0) pending.take(record.listener);
        holders.push_back({record.listener.inode,
                           static_cast<std::int32_t>(record.tgid),
                           {record.comm, strnlen(record.comm, sizeof(record.comm))}});
      });
  if (!error.empty()) {
    ++read_errors_;
    return;
  }
  if (can_tell_holders_) holders_ = std::move(holders);
}

/// One pass over all descriptors, or a walk of the hash for each namespace that lacks something?
bool BpfBackend::files_are_cheaper(std::size_t namespaces) const {
  if (!programs_->has(Program::task_file)) return false;
  const double buckets = first_number("/proc/sys/net/ipv4/tcp_ehash_entries", 262144);
  const double files = first_number("/proc/sys/fs/file-nr", 1e6);
  return files * kNsPerFile < buckets * kNsPerBucket * static_cast<double>(namespaces);
}

void BpfBackend::mark(std::span<const ListenerDescriptor> descriptors) {
  for (const ListenerDescriptor& descriptor : descriptors) {
    if (programs_->mark_descriptor(descriptor.pid, descriptor.fd)) descriptors_marked_ = true;
  }
}

void BpfBackend::walk_namespaces(Pending& pending, const Enter& enter) {
  const std::set<NetnsId> waiting = pending.namespaces();
  std::vector<NetnsId> order(waiting.upper_bound(walk_after_), waiting.end());
  order.insert(order.end(), waiting.begin(), waiting.upper_bound(walk_after_));
  const std::uint64_t start = monotonic_ns();
  for (const NetnsId netns : order) {
    if (!first_sample_ && monotonic_ns() - start > kWalkBudgetNs) {
      ++walks_put_off_;
      continue;
    }
    if (!enter(netns)) continue;
    ++walks_;
    walk_after_ = netns;
    programs_->set({});
    read_listeners(Program::tcp, pending);
  }
}

void BpfBackend::complete(std::vector<RawListener>& listeners, const ReadRequest& request,
                          const Enter& enter) {
  holders_.reset();
  listeners_before_.clear();
  for (const RawListener& listener : listeners) ++listeners_before_[listener.netns];
  if (request.syn_queue || request.holders) {
    Pending pending(listeners);
    fill(pending, request, enter);
  }
  first_sample_ = false;
}

void BpfBackend::fill(Pending& pending, const ReadRequest& request, const Enter& enter) {
  // The pass over the descriptors marks what it finds, so it comes first when it is wanted anyway.
  const bool files = request.holders && can_tell_holders_;
  if (files) read_files(pending);
  if (!request.syn_queue) return;
  if (!pending.empty() && programs_->has(Program::sk_storage)) {
    if (!programs_->marks_itself()) mark(request.descriptors);
    const bool marked = programs_->marks_itself() ? !first_sample_ : descriptors_marked_;
    if (marked) read_listeners(Program::sk_storage, pending);
  }
  if (!pending.empty() && !files && files_are_cheaper(pending.namespaces().size())) {
    read_files(pending);
  }
  if (!pending.empty()) walk_namespaces(pending, enter);
}

std::optional<std::vector<ListenerHolder>> BpfBackend::take_holders() {
  return std::exchange(holders_, std::nullopt);
}

RawWaiting waiting_of(const listenq_waiting_record& record) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  RawWaiting waiting;
  const bool inet6 = record.family == AF_INET6;
  const bool mapped = inet6 && std::equal(kMapped.begin(), kMapped.end(), record.address);
  waiting.family = inet6 && !mapped ? Family::ipv6 : Family::ipv4;
  const std::size_t from = mapped ? kMapped.size() : 0;
  std::copy(record.address + from, std::end(record.address), waiting.address.begin());
  waiting.port = record.port;
  if ((record.has & LISTENQ_WAITING_HAS_BYTES) != 0) waiting.received_bytes = record.received_bytes;
  if ((record.has & LISTENQ_WAITING_HAS_WAIT) != 0) waiting.wait_ns = record.wait_ns;
  return waiting;
}

void BpfBackend::read_waiting(std::vector<RawCloseUp>& close_ups, const Enter& enter) {
  if (!std::exchange(waiting_tried_, true)) {
    waiting_ = WaitingPrograms::load(facts_, programs_->marks());
  }
  if (!waiting_) return;
  waiting_->ask(close_ups);
  const auto take = [&](const listenq_waiting_record& record) {
    if (record.index >= close_ups.size()) return;
    auto& waiting = close_ups[record.index].waiting;
    if ((record.has & LISTENQ_WAITING_BEGIN) != 0) {
      waiting.emplace();
    } else if (waiting) {
      waiting->push_back(waiting_of(record));
    }
  };
  if (waiting_->reads_marked() && !waiting_->read_marked(take).empty()) ++read_errors_;
  std::set<NetnsId> left;
  for (const RawCloseUp& close_up : close_ups) {
    if (!close_up.waiting) left.insert(close_up.netns);
  }
  const std::uint64_t start = monotonic_ns();
  for (const NetnsId netns : left) {
    if (monotonic_ns() - start > kWalkBudgetNs) return;
    if (!enter(netns)) continue;
    ++walks_;
    if (!waiting_->read_namespace(take).empty()) ++read_errors_;
  }
}

void BpfBackend::list_programs(std::vector<RawProgram>& programs) const {
  programs_->list_programs(programs);
  if (waiting_) waiting_->list_programs(programs);
}

void BpfBackend::account(RawSelf& self) const {
  self.connection_hash_walks += walks_;
  self.lost.emplace_back("marks_refused", programs_->marks_refused());
  self.lost.emplace_back("walks_put_off", walks_put_off_);
  self.lost.emplace_back("iterator_errors", read_errors_);
}

}  // namespace

std::unique_ptr<Backend> make_bpf_backend(std::unique_ptr<BpfPrograms> programs,
                                          const KernelFacts& facts, const Plan& plan) {
  return std::make_unique<BpfBackend>(std::move(programs), facts, plan);
}

}  // namespace listenq
