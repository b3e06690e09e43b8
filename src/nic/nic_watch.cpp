// SPDX-License-Identifier: Apache-2.0
//
// See nic_watch.h.
#include "nic/nic_watch.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "nic/interface_programs.h"
#include "nic/nat.h"
#include "probe/program_times.h"
#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

/// What rewrites destinations changes seldom, and asking takes some system calls.
constexpr std::uint64_t kNatEveryNs = 5'000'000'000;
/// Loading the programs of an interface takes some milliseconds. Where there are hundreds, the
/// first samples shall not wait for the last.
constexpr std::uint64_t kAttachForNs = 500'000'000;

std::uint8_t bits_of(const RawListener& listener) {
  const bool wildcard = std::all_of(listener.address.begin(), listener.address.end(),
                                    [](std::uint8_t byte) { return byte == 0; });
  if (!wildcard || !listener.interface.empty()) return LISTENQ_NIC_GIVEN;
  switch (listener.family) {
    case Family::ipv4:
      return LISTENQ_NIC_ANY4;
    case Family::ipv6:
      return LISTENQ_NIC_ANY6;
    case Family::dual:
      return LISTENQ_NIC_ANY4 | LISTENQ_NIC_ANY6;
  }
  return LISTENQ_NIC_GIVEN;
}

NicPort port_of(std::uint16_t port, const listenq_nic_counts& counts) {
  NicPort to;
  to.port = port;
  to.syn_in = counts.syn_in;
  to.syn_known = counts.syn_known;
  to.synack_out = counts.synack_out;
  to.ack_in = counts.ack_in;
  to.rst_in = counts.rst_in;
  std::copy(std::begin(counts.handshake_time.buckets), std::end(counts.handshake_time.buckets),
            to.handshake_time.counts.begin());
  to.handshake_time.sum_ns = counts.handshake_time.sum_ns;
  to.handshake_time.max_ns = counts.handshake_time.max_ns;
  return to;
}

}  // namespace

class NicWatch::Work {
 public:
  explicit Work(NicOptions options) : options_(std::move(options)), programs_(options_.tcx) {}

  void read(std::uint64_t now_ns);
  [[nodiscard]] Result<void> follow(Sample& sample, std::optional<NetnsId> home,
                                    const Enter& enter);
  void close(const Enter& enter);
  [[nodiscard]] bool outlives_kill() const;
  void list_programs(std::vector<RawProgram>& programs) const;

 private:
  using Ports = std::map<std::uint16_t, std::uint8_t>;  ///< port -> LISTENQ_NIC_*
  struct Watched {
    Interface interface;
    std::string why_not;                          ///< not empty: it could not be watched
    std::unique_ptr<InterfacePrograms> programs;  ///< null: not watched
    listenq_nic_totals totals{};                  ///< as read() found them
    std::map<std::uint16_t, listenq_nic_counts> ports;
  };
  struct Namespace {
    std::uint64_t seed = 0;
    std::string nat;
    std::uint64_t nat_due_ns = 0;
    std::map<std::uint32_t, Watched> interfaces;  ///< by ifindex
  };

  [[nodiscard]] bool is_wanted(const Interface& interface, const std::vector<Interface>& all,
                               bool at_home);
  void follow_one(RawNamespace& raw, const Ports& ports, bool at_home);
  void drop_gone(Namespace& state, const std::vector<Interface>& found);
  [[nodiscard]] bool watch_new(Namespace& state, const std::vector<Interface>& found, bool at_home);
  void watch(Namespace& state, const Interface& interface);
  void set_ports(Namespace& state, const Ports& ports);
  void drop(Watched& watched);
  [[nodiscard]] Result<void> check_first() const;
  void list(Sample& sample) const;

  NicOptions options_;
  NicPrograms programs_;
  std::map<NetnsId, Namespace> namespaces_;
  std::set<std::string> found_names_;    ///< of options_.names, anywhere
  std::set<std::string> names_at_home_;  ///< of these, those of the tool's own namespace
  std::vector<RawProgram> ended_;        ///< of interfaces that are watched no longer
  std::vector<std::uint16_t> free_slots_;
  std::uint16_t next_slot_ = 0;
  std::uint64_t attach_until_ns_ = 0;  ///< no further interface in this sample after that
  std::uint64_t no_room_ = 0;          ///< ports that found no place in the programs' table
  bool first_ = true;
};

void NicWatch::Work::read(std::uint64_t now_ns) {
  std::unordered_map<std::uint16_t, Watched*> by_slot;
  for (auto& [netns, state] : namespaces_) {
    for (auto& [ifindex, watched] : state.interfaces) {
      if (!watched.programs) continue;
      watched.programs->beat(now_ns);
      watched.totals = watched.programs->totals();
      by_slot.emplace(watched.programs->slot(), &watched);
    }
  }
  programs_.read_ports(
      [&](std::uint16_t slot, std::uint16_t port, const listenq_nic_counts& counts) {
        const auto watched = by_slot.find(slot);
        if (watched == by_slot.end()) return;
        const auto entry = watched->second->ports.find(port);
        if (entry != watched->second->ports.end()) entry->second = counts;
      });
}

Result<void> NicWatch::Work::follow(Sample& sample, std::optional<NetnsId> home,
                                    const Enter& enter) {
  attach_until_ns_ = monotonic_ns() + kAttachForNs;
  std::map<NetnsId, Ports> wanted;
  for (const RawListener& listener : sample.listeners) {
    wanted[listener.netns][listener.port] |= bits_of(listener);
  }
  std::map<NetnsId, RawNamespace*> listed;
  for (RawNamespace& raw : sample.namespaces) listed.emplace(raw.netns, &raw);
  // Programs go with their namespace; what is left of it here is memory.
  for (auto entry = namespaces_.begin(); entry != namespaces_.end();) {
    if (listed.contains(entry->first)) {
      ++entry;
      continue;
    }
    for (auto& [ifindex, watched] : entry->second.interfaces) drop(watched);
    entry = namespaces_.erase(entry);
  }
  names_at_home_.clear();
  const auto follow_in = [&](RawNamespace& raw) {
    const auto ports = wanted.find(raw.netns);
    const bool named = options_.which == NicOptions::Which::named;
    if (ports == wanted.end() && !named && !namespaces_.contains(raw.netns)) return;
    if (!enter(raw.netns)) return;
    follow_one(raw, ports == wanted.end() ? Ports() : ports->second, raw.netns == home);
  };
  if (home && listed.contains(*home)) follow_in(*listed.at(*home));
  for (auto& [netns, raw] : listed) {
    if (netns != home) follow_in(*raw);
  }
  if (std::exchange(first_, false)) {
    if (auto checked = check_first(); !checked) return checked;
  }
  list(sample);
  sample.self.lost.emplace_back("nic_ports_full", no_room_);
  return {};
}

/// The thread is in the namespace.
void NicWatch::Work::follow_one(RawNamespace& raw, const Ports& ports, bool at_home) {
  const auto found = list_interfaces();
  if (!found) return;
  Namespace& state = namespaces_[raw.netns];
  if (state.seed == 0) {
    (void)::getrandom(&state.seed, sizeof state.seed, GRND_NONBLOCK);
    state.seed |= 1U;
  }
  drop_gone(state, *found);
  const bool complete = watch_new(state, *found, at_home);
  if (state.interfaces.empty()) return;
  raw.nics_complete = complete;
  if (const auto addresses = local_addresses()) {
    for (auto& [ifindex, watched] : state.interfaces) {
      if (watched.programs) watched.programs->set_addresses(*addresses);
    }
  }
  set_ports(state, ports);
  if (const std::uint64_t now = monotonic_ns(); now >= state.nat_due_ns) {
    state.nat = destination_rewriters();
    state.nat_due_ns = now + kNatEveryNs;
  }
  raw.nat = state.nat;
}

/// A number may have been given to another device meanwhile, whose name or kind tells.
void NicWatch::Work::drop_gone(Namespace& state, const std::vector<Interface>& found) {
  for (auto entry = state.interfaces.begin(); entry != state.interfaces.end();) {
    Watched& watched = entry->second;
    const auto same = std::find_if(found.begin(), found.end(), [&](const Interface& interface) {
      return interface.ifindex == entry->first && interface.kind == watched.interface.kind &&
             interface.hardware == watched.interface.hardware;
    });
    if (same == found.end()) {
      drop(watched);
      entry = state.interfaces.erase(entry);
    } else {
      watched.interface.name = same->name;
      ++entry;
    }
  }
}

/// True when every interface that brings packets in is watched now.
bool NicWatch::Work::watch_new(Namespace& state, const std::vector<Interface>& found,
                               bool at_home) {
  bool complete = true;
  for (const Interface& interface : found) {
    const bool wanted = is_wanted(interface, found, at_home);
    const bool known = state.interfaces.contains(interface.ifindex);
    if (wanted && !known && monotonic_ns() < attach_until_ns_) watch(state, interface);
    const auto entry = state.interfaces.find(interface.ifindex);
    const bool watched = entry != state.interfaces.end() && entry->second.programs;
    if (!watched && brings_packets_in(interface, found)) complete = false;
  }
  return complete;
}

/// A named interface is that of the tool's own namespace, if there is one: eth0 is the machine's,
/// and not that of each container.
bool NicWatch::Work::is_wanted(const Interface& interface, const std::vector<Interface>& all,
                               bool at_home) {
  if (options_.which == NicOptions::Which::automatic) return brings_packets_in(interface, all);
  const auto& names = options_.names;
  if (std::find(names.begin(), names.end(), interface.name) == names.end()) return false;
  if (!at_home && names_at_home_.contains(interface.name)) return false;
  found_names_.insert(interface.name);
  if (at_home) names_at_home_.insert(interface.name);
  return true;
}

void NicWatch::Work::watch(Namespace& state, const Interface& interface) {
  Watched& watched = state.interfaces[interface.ifindex];
  watched.interface = interface;
  if (!has_ethernet_header(interface) && !has_ip_header(interface)) {
    watched.why_not = fmt::format("frames of its kind are not known ({})", interface.hardware);
    return;
  }
  if (free_slots_.empty() && next_slot_ == std::numeric_limits<std::uint16_t>::max()) {
    watched.why_not = "too many interfaces are watched already";
    return;
  }
  InterfacePrograms::Wish wish;
  wish.mode = options_.mode;
  wish.seed = state.seed;
  if (free_slots_.empty()) {
    wish.slot = next_slot_++;
  } else {
    wish.slot = free_slots_.back();
    free_slots_.pop_back();
  }
  auto attached = InterfacePrograms::attach(programs_, interface, wish);
  if (!attached) {
    watched.why_not = attached.error().message;
    free_slots_.push_back(wish.slot);
    return;
  }
  watched.programs = std::move(*attached);
}

/// The thread is in the namespace, or the interface is gone.
void NicWatch::Work::drop(Watched& watched) {
  if (!watched.programs) return;
  watched.programs->detach();
  watched.programs->list_programs(ended_);
  const std::uint16_t slot = watched.programs->slot();
  for (const auto& [port, counts] : watched.ports) programs_.remove_port(slot, port);
  watched.programs.reset();
  free_slots_.push_back(slot);
}

void NicWatch::Work::set_ports(Namespace& state, const Ports& ports) {
  for (auto& [ifindex, watched] : state.interfaces) {
    if (!watched.programs) continue;
    InterfacePrograms& programs = *watched.programs;
    std::erase_if(watched.ports, [&](const auto& entry) {
      if (ports.contains(entry.first)) return false;
      programs.set_port(entry.first, 0);
      programs_.remove_port(programs.slot(), entry.first);
      return true;
    });
    for (const auto& [port, bits] : ports) {
      if (!watched.ports.contains(port)) {
        if (!programs_.add_port(programs.slot(), port)) {
          ++no_room_;
          continue;
        }
        watched.ports.emplace(port, listenq_nic_counts{});
      }
      programs.set_port(port, bits);
    }
  }
}

/// What was asked for can be had, at least in part.
Result<void> NicWatch::Work::check_first() const {
  for (const std::string& name : options_.names) {
    if (found_names_.contains(name)) continue;
    return failure(ErrorKind::usage,
                   fmt::format("--nic {}: there is no such interface in the network namespaces "
                               "that are shown; `ip link` lists them",
                               printable(name)));
  }
  std::string why_not;
  for (const auto& [netns, state] : namespaces_) {
    for (const auto& [ifindex, watched] : state.interfaces) {
      if (watched.programs) return {};
      why_not = fmt::format("{}: {}", printable(watched.interface.name), watched.why_not);
    }
  }
  if (why_not.empty()) return {};
  return failure(ErrorKind::unsupported,
                 fmt::format("--nic: no interface can be watched; {}; without --nic the tool does "
                             "not need them",
                             why_not));
}

void NicWatch::Work::list_programs(std::vector<RawProgram>& programs) const {
  for (const RawProgram& program : ended_) add_program(programs, program);
  for (const auto& [netns, state] : namespaces_) {
    for (const auto& [ifindex, watched] : state.interfaces) {
      if (watched.programs) watched.programs->list_programs(programs);
    }
  }
}

void NicWatch::Work::list(Sample& sample) const {
  std::uint64_t ports = 0;
  for (const auto& [netns, state] : namespaces_) {
    for (const auto& [ifindex, watched] : state.interfaces) {
      RawNic& raw = sample.nics.emplace_back();
      raw.netns = netns;
      raw.interface = watched.interface.name;
      raw.ifindex = ifindex;
      raw.note = watched.why_not;
      if (!watched.programs) continue;
      raw.mode = watched.programs->mode();
      raw.note = watched.programs->note();
      raw.passed = watched.totals.passed;
      raw.malformed = watched.totals.malformed;
      raw.fragments = watched.totals.fragments;
      raw.evictions = watched.totals.evictions;
      raw.handshake_times = watched.programs->measures_handshakes();
      ports += watched.ports.size();
      raw.ports.reserve(watched.ports.size());
      for (const auto& [port, counts] : watched.ports) raw.ports.push_back(port_of(port, counts));
    }
  }
  if (const auto max = programs_.shared().max_ports; max != 0) {
    sample.self.maps.push_back({"nic_ports", ports, max});
  }
}

namespace {

template <class Interfaces>
bool any_outlives_kill(const Interfaces& interfaces) {
  return std::any_of(interfaces.begin(), interfaces.end(), [](const auto& entry) {
    const auto& programs = entry.second.programs;
    return programs && programs->outlives_kill();
  });
}

}  // namespace

bool NicWatch::Work::outlives_kill() const {
  return std::any_of(namespaces_.begin(), namespaces_.end(),
                     [](const auto& entry) { return any_outlives_kill(entry.second.interfaces); });
}

void NicWatch::Work::close(const Enter& enter) {
  for (auto& [netns, state] : namespaces_) {
    // Gone, or not to be entered: the next to watch there cleans up.
    if (any_outlives_kill(state.interfaces) && !enter(netns)) continue;
    for (auto& [ifindex, watched] : state.interfaces) drop(watched);
  }
  namespaces_.clear();
}

NicWatch::NicWatch(NicOptions options) : work_(std::make_unique<Work>(std::move(options))) {}

NicWatch::~NicWatch() = default;

void NicWatch::read(Sample& sample) {
  work_->read(sample.monotonic_ns);
}

Result<void> NicWatch::follow(Sample& sample, std::optional<NetnsId> home, const Enter& enter) {
  return work_->follow(sample, home, enter);
}

void NicWatch::list_programs(std::vector<RawProgram>& programs) const {
  work_->list_programs(programs);
}

bool NicWatch::outlives_kill() const {
  return work_->outlives_kill();
}

void NicWatch::close(const Enter& enter) {
  work_->close(enter);
}

}  // namespace listenq
