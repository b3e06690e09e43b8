// SPDX-License-Identifier: Apache-2.0
//
// Makes one Sample a tick: steps through the network namespaces, asks the backend, the namespace's
// files and /proc. Remembers only what is dear to read again (who holds which socket).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "collect/close_ups.h"
#include "nic/nic_watch.h"
#include "probe/kernel_facts.h"
#include "probe/program_times.h"
#include "procmap/namespaces.h"
#include "procmap/owners.h"
#include "procmap/throttling.h"

namespace listenq {

struct CollectOptions {
  enum class Scope : std::uint8_t { all, self, named } scope = Scope::all;
  std::string name;  ///< for Scope::named: a name of `ip netns`, or an inode number
  bool owners = true;
  bool syn_queue = true;
  bool sk_drops = true;
  bool namespace_files = true;  ///< sysctls and MIB counters
  NicOptions nic;
  bool clean_up = true;  ///< takes off what a killed process left at interfaces, once, at the start
};

/// What the samples to come shall hold beyond the usual.
struct Wanted {
  std::vector<CloseUpRequest> close_ups;  ///< the first kMostCloseUps
  bool program_times = false;  ///< keeps the kernel's BPF statistics on: every program costs more
};

class Collector {
 public:
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  /// Takes off what it attached to interfaces and would not go by itself.
  ~Collector();

  /// An error when the named namespace does not exist, or interfaces shall be watched and can't.
  [[nodiscard]] static Result<std::unique_ptr<Collector>> create(Probe probe,
                                                                 CollectOptions options);

  /// Reads everything now. A namespace that vanishes meanwhile is left out; one that can't be read
  /// is counted in self.lost. An error only when no namespace could be read.
  [[nodiscard]] Result<std::shared_ptr<const Sample>> sample();

  /// From the next sample on.
  void want(Wanted wanted);

  [[nodiscard]] const Probe& probe() const { return probe_; }
  /// What is attached to interfaces now would stay if this process were killed.
  [[nodiscard]] bool nics_outlive_kill() const { return nics_ && nics_->outlives_kill(); }

 private:
  Collector(Probe probe, CollectOptions options);

  [[nodiscard]] std::vector<NetnsRef> wanted_namespaces();
  bool enter(const NetnsRef& ref);
  bool enter_surely(const NetnsRef& ref);
  void leave();
  void read_all(const std::vector<NetnsRef>& refs, const ReadRequest& request, Sample& sample);
  void read_one(const NetnsRef& ref, const ReadRequest& request, Sample& sample);
  [[nodiscard]] Result<void> count(Sample& sample, const Backend::Enter& enter_by_id);
  void clean_up(const std::vector<NetnsRef>& refs);
  void count_events(Sample& sample, const Backend::Enter& enter_by_id);
  void look_for(const Sample& sample);
  void add_owners(const Sample& sample, std::vector<SocketOwner> owners);
  [[nodiscard]] bool owners_due(const Sample& sample) const;
  void name_ownerless_cgroups(Sample& sample);
  void look_closer(Sample& sample);
  void list_programs(RawSelf& self);

  Probe probe_;
  CollectOptions options_;
  Wanted wanted_;
  ProgramTimes program_times_;
  std::unique_ptr<CpuLimits> cpu_limits_;  ///< null: not asked for yet
  NamespaceLister lister_;
  std::unique_ptr<CgroupPaths> cgroups_;
  std::unique_ptr<NicWatch> nics_;  ///< null: no interface is watched
  std::string host_;
  std::string kernel_;
  std::optional<NetnsId> home_;  ///< the namespace that the process started in
  std::optional<std::string> home_name_;
  std::optional<NetnsId> current_;  ///< the one that the thread is in
  Fd home_fd_;
  /// Those whose listed path was gone, held for one sample; empty: they are gone themselves.
  std::unordered_map<NetnsId, Fd> reopened_;
  std::shared_ptr<const OwnerTable> owners_;
  std::unordered_set<std::uint64_t> looked_for_;  ///< inodes when owners_ was made
  std::uint64_t owners_due_ns_ = 0;
  std::size_t listeners_before_ = 0;                         ///< in the last sample
  std::unordered_map<std::uint32_t, std::uint64_t> losses_;  ///< by namespace, at the last sample
  std::uint64_t unreadable_ = 0;
  std::optional<Error> last_error_;
};

}  // namespace listenq
