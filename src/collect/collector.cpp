// SPDX-License-Identifier: Apache-2.0
//
// See collector.h.
#include "collect/collector.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

#include "collect/namespace_files.h"
#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

constexpr const char* kProc = "/proc";

/// Who holds a socket changes seldom. Besides at every new listener and when an owner ended it is
/// read again after this time, or after so many times of what it took: at most a thousandth of a
/// core.
constexpr std::uint64_t kOwnersEveryNs = 5'000'000'000;
constexpr std::uint64_t kOwnersRest = 1000;

std::uint64_t cpu_time_ns() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(used.tv_nsec);
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024U;
}

/// Grows whenever anything was lost, or sent as a cookie.
std::uint64_t lost_in(const MibCounters& mib) {
  constexpr std::array<std::string_view, 9> kLosses = {
      "ListenOverflows",    "ListenDrops",          "TCPReqQFullDrop",
      "TCPDeferAcceptDrop", "SyncookiesSent",       "SyncookiesRecv",
      "SyncookiesFailed",   "TCPReqQFullDoCookies", "TCPFastOpenListenOverflow"};
  std::uint64_t sum = 0;
  for (const auto& [name, value] : mib) {
    if (std::find(kLosses.begin(), kLosses.end(), name) != kLosses.end()) sum += value;
  }
  return sum;
}

std::uint64_t lost_in(const ListenerCounts& counts) {
  using enum Counter;
  return counts[drops] + counts[drops_defer_accept] + counts[cookies_sent] + counts[cookies_valid] +
         counts[cookies_invalid] + counts[fastopen_overflows];
}

bool has_name(const NetnsRef& ref, const std::string& wanted) {
  return ref.name == wanted || std::to_string(number(ref.id)) == wanted;
}

}  // namespace

Collector::Collector(Probe probe, CollectOptions options)
    : probe_(std::move(probe)), options_(std::move(options)) {
  utsname names{};
  uname(&names);
  host_ = names.nodename;
  kernel_ = names.release;
  home_ = lister_.own();
  current_ = home_;
  home_name_ = lister_.own_name();
}

Result<std::unique_ptr<Collector>> Collector::create(Probe probe, CollectOptions options) {
  using Scope = CollectOptions::Scope;
  const Fact& switching = probe.facts[Feature::namespaces];
  if (options.scope == Scope::named && !switching.have) {
    return failure(ErrorKind::unsupported,
                   fmt::format("--netns {}: {}", printable(options.name), switching.why_not));
  }
  std::unique_ptr<Collector> collector(new Collector(std::move(probe), std::move(options)));
  if (collector->options_.scope == Scope::named && collector->wanted_namespaces().empty()) {
    return failure(
        ErrorKind::usage,
        fmt::format("--netns {}: there is no such network namespace; `ip netns` lists the "
                    "named ones, and an inode number as in /proc/PID/ns/net works too",
                    printable(collector->options_.name)));
  }
  if (collector->options_.scope != Scope::self) {
    collector->home_fd_ = Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  }
  if (collector->options_.nic.which != NicOptions::Which::none) {
    if (const Fact& bpf = collector->probe_.facts[Feature::bpf]; !bpf.have) {
      return failure(
          ErrorKind::unsupported,
          fmt::format("--nic: {}; without --nic the tool shows what it can", bpf.why_not));
    }
    const Fact& tcx = collector->probe_.facts[Feature::tcx];
    NicOptions nic = collector->options_.nic;
    nic.tcx = tcx.have || tcx.why_not.empty();
    collector->nics_ = std::make_unique<NicWatch>(std::move(nic));
  }
  return collector;
}

std::vector<NetnsRef> Collector::wanted_namespaces() {
  using Scope = CollectOptions::Scope;
  std::vector<NetnsRef> refs;
  if (options_.scope != Scope::self && probe_.facts[Feature::namespaces].have) {
    refs = lister_.list();
    if (options_.scope == Scope::named) {
      std::erase_if(refs, [&](const NetnsRef& ref) { return !has_name(ref, options_.name); });
    }
    return refs;
  }
  // Without /proc there is no number either; 0 is none, and there is just one namespace.
  refs.push_back({home_.value_or(NetnsId{}), "", home_name_});
  return refs;
}

bool Collector::enter(const NetnsRef& ref) {
  if (current_ == ref.id || ref.path.empty()) return true;
  if (ref.id == home_) {
    leave();
    return current_ == home_;
  }
  const auto join = [&](const Fd& fd) {
    if (!fd || ::setns(fd.get(), CLONE_NEWNET) != 0) return false;
    current_ = ref.id;
    return true;
  };
  const auto reopened = reopened_.find(ref.id);
  if (reopened != reopened_.end()) return join(reopened->second);
  return join(open_namespace(ref.path, ref.id));
}

/// Also when the process that the namespace was found by ended or moved meanwhile.
bool Collector::enter_surely(const NetnsRef& ref) {
  if (enter(ref)) return true;
  if (ref.id == home_ || reopened_.contains(ref.id)) return false;
  reopened_.merge(lister_.open_anew({&ref.id, 1}));
  reopened_.try_emplace(ref.id);
  return enter(ref);
}

void Collector::leave() {
  if (current_ == home_) return;
  if (::setns(home_fd_.get(), CLONE_NEWNET) == 0) current_ = home_;
}

/// Those that could not be entered are looked for again, once and all together.
void Collector::read_all(const std::vector<NetnsRef>& refs, const ReadRequest& request,
                         Sample& sample) {
  reopened_.clear();
  std::vector<NetnsRef> missed;
  std::vector<NetnsId> wanted;
  for (const NetnsRef& ref : refs) {
    if (enter(ref)) {
      read_one(ref, request, sample);
    } else {
      missed.push_back(ref);
      wanted.push_back(ref.id);
    }
  }
  if (missed.empty()) return;
  reopened_ = lister_.open_anew(wanted);
  for (const NetnsRef& ref : missed) {
    if (reopened_.try_emplace(ref.id).second) continue;  // gone is no error
    if (enter(ref)) {
      read_one(ref, request, sample);
    } else {
      ++unreadable_;
    }
  }
  std::sort(sample.namespaces.begin(), sample.namespaces.end(),
            [](const RawNamespace& a, const RawNamespace& b) { return a.netns < b.netns; });
}

void Collector::read_one(const NetnsRef& ref, const ReadRequest& request, Sample& sample) {
  const std::size_t before = sample.listeners.size();
  if (const auto read = probe_.backend->read_namespace(ref.id, request, sample.listeners); !read) {
    sample.listeners.resize(before);
    ++unreadable_;
    last_error_ = read.error();
    return;
  }
  RawNamespace row;
  row.netns = ref.id;
  row.name = ref.name;
  if (options_.namespace_files) {
    row.sysctls = read_sysctls(kProc);
    row.mib = read_mib(kProc);
  }
  sample.namespaces.push_back(std::move(row));
}

void Collector::want(Wanted wanted) {
  wanted_ = std::move(wanted);
  program_times_.keep_on(wanted_.program_times);
}

/// After the owners: what the processes do that hold the listeners.
void Collector::look_closer(Sample& sample) {
  if (sample.close_ups.empty() || !options_.owners) return;
  if (!cpu_limits_) cpu_limits_ = std::make_unique<CpuLimits>(kProc);
  add_sharers(kProc, *owners_, *cpu_limits_, sample.close_ups);
}

void Collector::list_programs(RawSelf& self) {
  if (!program_times_.due()) return;
  probe_.backend->list_programs(self.programs);
  if (probe_.counter) probe_.counter->list_programs(self.programs);
  if (nics_) nics_->list_programs(self.programs);
  program_times_.strike_out_unknown(self.programs);
}

bool Collector::owners_due(const Sample& sample) const {
  if (!options_.owners) return false;
  if (!owners_ || sample.monotonic_ns >= owners_due_ns_) return true;
  // An owner that ended may have handed its sockets on.
  const auto ended = [](const auto& process) {
    return ::kill(process.first, 0) != 0 && errno == ESRCH;
  };
  if (std::any_of(owners_->processes.begin(), owners_->processes.end(), ended)) return true;
  return std::any_of(sample.listeners.begin(), sample.listeners.end(), [&](const RawListener& raw) {
    return raw.inode != 0 && !looked_for_.contains(raw.inode);
  });
}

void Collector::look_for(const Sample& sample) {
  looked_for_.clear();
  for (const RawListener& raw : sample.listeners) {
    if (raw.inode != 0) looked_for_.insert(raw.inode);
  }
}

void Collector::add_owners(const Sample& sample, std::vector<SocketOwner> owners) {
  if (auto holders = probe_.backend->take_holders()) {
    owners.reserve(holders->size());
    for (ListenerHolder& holder : *holders) {
      if (!looked_for_.contains(holder.inode)) continue;
      owners.push_back({holder.inode, holder.pid, -1, std::move(holder.name)});
    }
  }
  owners_ = make_owner_table(kProc, std::move(owners));
  // The whole sample stands for what it took: the rest of one is small beside it, or it is.
  const std::uint64_t now = monotonic_ns();
  owners_due_ns_ = now + std::max(kOwnersEveryNs, kOwnersRest * (now - sample.monotonic_ns));
}

void Collector::name_ownerless_cgroups(Sample& sample) {
  for (RawListener& raw : sample.listeners) {
    if (!raw.cgroup_id || (raw.inode != 0 && owners_->by_inode.contains(raw.inode))) continue;
    if (!cgroups_) cgroups_ = std::make_unique<CgroupPaths>(kProc);
    raw.cgroup = cgroups_->path(*raw.cgroup_id);
  }
}

/// What was counted, and again the MIB of the namespaces where something was lost since the sample
/// before: between the two lies what it was when the counts were read.
void Collector::count_events(Sample& sample, const Backend::Enter& enter_by_id) {
  probe_.counter->add_to(sample, options_.scope == CollectOptions::Scope::all, enter_by_id);
  if (!options_.namespace_files) return;
  std::unordered_map<std::uint32_t, std::uint64_t> losses;
  for (RawNamespace& raw : sample.namespaces) {
    if (!raw.mib) continue;
    // A loss between the two readings is in the counts alone, so both are watched.
    std::uint64_t now = lost_in(*raw.mib);
    if (raw.counted) now += lost_in(sample.counts[*raw.counted]);
    const auto before = losses_.find(number(raw.netns));
    losses.emplace(number(raw.netns), now);
    const bool grew = before == losses_.end() ? now != 0 : now != before->second;
    if (!grew) continue;
    if (enter_by_id(raw.netns)) raw.mib_after = read_mib(kProc);
  }
  losses_ = std::move(losses);
}

/// Kernels without links for tc keep filters of a process that was killed.
void Collector::clean_up(const std::vector<NetnsRef>& refs) {
  if (!std::exchange(options_.clean_up, false)) return;
  if (!probe_.facts[Feature::bpf].have || !filters_left_behind()) return;
  for (const NetnsRef& ref : refs) {
    if (enter_surely(ref)) remove_filters_left_behind();
  }
}

/// Interfaces are read first, so that no packet on its way from there looks lost.
Result<void> Collector::count(Sample& sample, const Backend::Enter& enter_by_id) {
  if (nics_) nics_->read(sample);
  if (probe_.counter) count_events(sample, enter_by_id);
  return nics_ ? nics_->follow(sample, home_, enter_by_id) : Result<void>();
}

Collector::~Collector() {
  if (!nics_) return;
  const std::vector<NetnsRef> refs = wanted_namespaces();
  nics_->close([&](NetnsId id) {
    const auto ref = std::find_if(refs.begin(), refs.end(),
                                  [&](const NetnsRef& candidate) { return candidate.id == id; });
    return ref != refs.end() && enter(*ref);
  });
  leave();
}

Result<std::shared_ptr<const Sample>> Collector::sample() {
  auto sample = std::make_shared<Sample>();
  sample->wall_ns = wall_ns();
  sample->monotonic_ns = monotonic_ns();
  sample->host = host_;
  sample->kernel = kernel_;
  sample->backend = backend_name(probe_.plan.backend);

  last_error_.reset();
  const std::vector<NetnsRef> refs = wanted_namespaces();
  ReadRequest request;
  request.syn_queue = options_.syn_queue;
  request.sk_drops = options_.sk_drops;
  request.holders = options_.owners && !owners_ && probe_.plan.owners_from_bpf;
  request.namespaces = refs.size();
  clean_up(refs);
  sample->listeners.reserve(listeners_before_);
  read_all(refs, request, *sample);
  listeners_before_ = sample->listeners.size();
  const bool owners_wanted = owners_due(*sample);
  request.holders = owners_wanted && probe_.plan.owners_from_bpf;
  std::vector<SocketOwner> scanned;
  std::vector<ListenerDescriptor> descriptors;
  if (owners_wanted) look_for(*sample);
  if (owners_wanted && !request.holders) {
    scanned = scan_owners(kProc, looked_for_);
    for (const SocketOwner& owner : scanned) descriptors.push_back({owner.pid, owner.fd});
    request.descriptors = descriptors;
  }
  const auto enter_by_id = [&](NetnsId id) {
    const auto ref = std::find_if(refs.begin(), refs.end(),
                                  [&](const NetnsRef& candidate) { return candidate.id == id; });
    return ref != refs.end() && enter_surely(*ref);
  };
  probe_.backend->complete(sample->listeners, request, enter_by_id);
  if (!wanted_.close_ups.empty()) {
    sample->close_ups = find_close_ups(sample->listeners, wanted_.close_ups);
    probe_.backend->read_waiting(sample->close_ups, enter_by_id);
  }
  const auto counted = count(*sample, enter_by_id);
  leave();
  reopened_.clear();
  if (current_ != home_) {
    return failure(ErrorKind::unsupported,
                   "can't return to the network namespace that the tool was started in");
  }
  if (!counted) return tl::unexpected<Error>(counted.error());
  if (sample->namespaces.empty()) {
    if (last_error_) return tl::unexpected<Error>(*last_error_);
    return failure(ErrorKind::unsupported,
                   options_.scope == CollectOptions::Scope::named
                       ? fmt::format("the network namespace {} is gone", printable(options_.name))
                       : "no network namespace could be read");
  }
  if (owners_wanted) add_owners(*sample, std::move(scanned));
  if (options_.owners) {
    sample->owners = owners_;
    name_ownerless_cgroups(*sample);
  }
  look_closer(*sample);

  sample->self.lost.emplace_back("namespaces_unreadable", unreadable_);
  probe_.backend->account(sample->self);
  list_programs(sample->self);
  sample->self.sample_ns = monotonic_ns() - sample->monotonic_ns;
  sample->self.cpu_ns = cpu_time_ns();
  sample->self.memory_bytes = peak_memory_bytes();
  return sample;
}

}  // namespace listenq
