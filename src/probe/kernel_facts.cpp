// SPDX-License-Identifier: Apache-2.0
//
// See kernel_facts.h.
#include "probe/kernel_facts.h"

#include <linux/capability.h>
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>

#include "probe/bpf_backend.h"
#include "probe/bpf_programs.h"
#include "probe/counting_programs.h"
#include "probe/diag_backend.h"
#include "util/text.h"

namespace listenq {
namespace {

/// The inode number of the initial pid namespace (PROC_PID_INIT_INO, part of the ABI).
constexpr std::string_view kInitialPidNamespace = "pid:[4026531836]";

/// By the system call and not from /proc, which may not be mounted.
std::uint64_t effective_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return 0;
  return (static_cast<std::uint64_t>(sets[1].effective) << 32U) | sets[0].effective;
}

Fact bpf_fact(std::uint64_t capabilities) {
  const auto has = [&](unsigned bit) { return (capabilities >> bit & 1U) != 0; };
  if (!has(CAP_SYS_ADMIN) && !(has(CAP_BPF) && has(CAP_PERFMON))) {
    return {false, "it needs root (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN)"};
  }
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return {false, "the kernel has no BTF (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)"};
  }
  return {true, ""};
}

Fact pid_namespace_fact() {
  std::array<char, 64> target{};
  const ssize_t length = ::readlink("/proc/self/ns/pid", target.data(), target.size());
  const bool initial =
      length > 0 &&
      std::string_view(target.data(), static_cast<std::size_t>(length)) == kInitialPidNamespace;
  if (initial) return {true, ""};
  return {false, "this is not the initial pid namespace, so BPF would give other process ids"};
}

constexpr const char* kSwitchedOff = "switched off by --no-feature";

bool is_switched_off(const Fact& fact) {
  return fact.why_not == kSwitchedOff;
}

/// A refused load has a reason that errno does not tell.
void explain_lockdown(KernelFacts& facts) {
  const auto lockdown = read_small_file("/sys/kernel/security/lockdown");
  if (!lockdown || lockdown->find("[confidentiality]") == std::string::npos) return;
  for (const Feature feature :
       {Feature::iter_tcp, Feature::iter_task_file, Feature::iter_sk_storage,
        Feature::cookie_helper, Feature::fentry, Feature::kprobe, Feature::portable}) {
    Fact& fact = facts[feature];
    if (!fact.have && !fact.why_not.empty() && !is_switched_off(fact)) {
      fact.why_not =
          "the kernel is locked down (lockdown=confidentiality): programs may not read its memory";
    }
  }
}

/// The forced way, or the best that attaches.
std::unique_ptr<CountingPrograms> attach_counting(BackendChoice choice, KernelFacts& facts) {
  if (counts_events(choice)) return CountingPrograms::attach(choice, facts);
  for (const BackendChoice way :
       {BackendChoice::fentry, BackendChoice::kprobe, BackendChoice::portable}) {
    if (auto programs = CountingPrograms::attach(way, facts)) return programs;
  }
  return nullptr;
}

}  // namespace

KernelFacts host_facts() {
  KernelFacts facts;
  const std::uint64_t capabilities = effective_capabilities();
  facts[Feature::bpf] = bpf_fact(capabilities);
  facts[Feature::init_pid_namespace] = pid_namespace_fact();
  const bool admin = (capabilities >> static_cast<unsigned>(CAP_SYS_ADMIN) & 1U) != 0;
  facts[Feature::namespaces] = {
      admin, admin ? "" : "entering other network namespaces needs root (CAP_SYS_ADMIN)"};
  std::string why_not = sock_diag_missing();
  facts[Feature::sock_diag] = {why_not.empty(), why_not};
  return facts;
}

Result<Probe> open_probe(const ProbeOptions& options) {
  Probe probe;
  probe.facts = host_facts();
  for (const Feature feature : options.disabled) {
    probe.facts[feature] = {false, kSwitchedOff};
  }
  std::unique_ptr<BpfPrograms> programs;
  std::unique_ptr<CountingPrograms> counting;
  const bool automatic = options.backend == BackendChoice::automatic;
  const bool spared = automatic && !options.bpf_wanted && probe.facts[Feature::sock_diag].have;
  if (probe.facts[Feature::bpf].have && options.backend != BackendChoice::diag && !spared) {
    programs = BpfPrograms::load(probe.facts, options.single_sample);
    if (counts_events(options.backend) || (automatic && options.counting_wanted)) {
      counting = attach_counting(options.backend, probe.facts);
    }
    explain_lockdown(probe.facts);
  }
  auto plan = make_plan(probe.facts, options.backend, options.counting_wanted);
  if (!plan) return tl::unexpected<Error>(plan.error());
  probe.plan = std::move(*plan);
  if (spared) probe.plan.why_not_better.clear();
  probe.backend = probe.plan.reader == BackendChoice::iter
                      ? make_bpf_backend(std::move(programs), probe.facts, probe.plan)
                      : make_diag_backend();
  if (counting) {
    probe.counter = std::make_unique<EventCounter>(std::move(counting), probe.plan);
    // libbpf has read the kernel's whole BTF for it, and needs it no more: some 9 MB.
    ::malloc_trim(0);
  }
  return probe;
}

}  // namespace listenq
