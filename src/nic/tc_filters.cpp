// SPDX-License-Identifier: Apache-2.0
//
// See tc_filters.h.
#include "nic/tc_filters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "nic.skel.h"
#include "nic/interfaces.h"
#include "nic/nic_watch.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/netlink.h"
#include "util/result.h"
#include "util/text.h"

namespace listenq {
namespace {

/// Of our filters: "lq" and a number, so that several instances find a place each.
constexpr std::uint32_t kFirstHandle = 0x6c710000;
constexpr std::uint32_t kHandles = 8;
/// The lowest number runs first. Filters of one priority are all of one kind, so the first may be
/// taken by another kind.
constexpr std::uint32_t kPriorities = 4;
constexpr std::uint64_t kSilenceNs = 600'000'000'000;

bpf_tc_hook hook_of(std::uint32_t ifindex, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = point;
  return hook;
}

bpf_tc_attach_point point_of(bool ingress) {
  return ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

constexpr auto kBothWays = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);

/// What the .bss of a program's object says, if it is one of ours.
std::optional<listenq_nic_owner> owner_of(std::uint32_t program_id) {
  const Fd program(bpf_prog_get_fd_by_id(program_id));
  if (!program) return std::nullopt;
  std::array<std::uint32_t, 16> map_ids{};
  bpf_prog_info info{};
  info.nr_map_ids = map_ids.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids.data());
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return std::nullopt;
  if (!std::string_view(std::data(info.name)).starts_with("nic_")) return std::nullopt;
  using Memory = std::remove_pointer_t<decltype(nic_bpf::bss)>;
  for (const std::uint32_t id :
       std::span(map_ids).first(std::min<std::size_t>(info.nr_map_ids, map_ids.size()))) {
    const Fd map(bpf_map_get_fd_by_id(id));
    bpf_map_info about{};
    size = sizeof about;
    if (!map || bpf_obj_get_info_by_fd(map.get(), &about, &size) != 0) continue;
    if (std::string_view(std::data(about.name)) != "nic_bpf.bss") continue;
    if (about.value_size < sizeof(Memory)) continue;
    std::vector<std::byte> memory(about.value_size);
    const std::uint32_t zero = 0;
    if (bpf_map_lookup_elem(map.get(), &zero, memory.data()) != 0) continue;
    listenq_nic_owner owner{};
    std::memcpy(&owner, memory.data() + offsetof(Memory, listenq_nic_owner), sizeof owner);
    // Of another version it may be elsewhere: such a filter is left alone.
    if (owner.magic == LISTENQ_NIC_MAGIC) return owner;
  }
  return std::nullopt;
}

/// Anything hangs there. When it can't be asked: yes, so that nothing is taken away.
bool has_filters(std::uint32_t ifindex, bool ingress) {
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  body.tcm_ifindex = static_cast<int>(ifindex);
  body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  bool any = false;
  const auto read =
      netlink_dump({NETLINK_ROUTE, RTM_GETTFILTER, std::as_bytes(std::span(&body, 1)), "filters"},
                   [&](const NetlinkMessage& message) {
                     any = any || message.type == RTM_NEWTFILTER;
                     return !any;
                   });
  return any || !read;
}

std::uint64_t start_ticks(std::uint32_t pid) {
  const auto text = read_small_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return 0;
  // The name, field 2, may hold anything but ends with the last parenthesis.
  const std::size_t end = text->rfind(')');
  if (end == std::string::npos) return 0;
  constexpr std::size_t kField = 22 - 2;  // the first after the name is empty, before a space
  const auto fields = split(std::string_view(*text).substr(end + 1), ' ');
  return fields.size() > kField
             ? static_cast<std::uint64_t>(parse_integer(fields[kField]).value_or(0))
             : 0;
}

std::uint32_t pid_namespace() {
  struct stat about {};
  return ::stat("/proc/self/ns/pid", &about) == 0 ? static_cast<std::uint32_t>(about.st_ino) : 0;
}

}  // namespace

listenq_nic_owner this_process() {
  listenq_nic_owner owner{};
  owner.pid = static_cast<std::uint32_t>(::getpid());
  owner.start_ticks = start_ticks(owner.pid);
  owner.pid_namespace = pid_namespace();
  owner.beat_ns = monotonic_ns();
  owner.magic = LISTENQ_NIC_MAGIC;
  return owner;
}

bool is_alive(const listenq_nic_owner& owner, std::uint64_t monotonic_ns) {
  if (owner.pid_namespace == pid_namespace()) {
    return owner.start_ticks != 0 && start_ticks(owner.pid) == owner.start_ticks;
  }
  return monotonic_ns < owner.beat_ns + kSilenceNs;
}

std::string TcFilters::prepare() {
  if (prepared_) return "";
  bpf_tc_hook hook = hook_of(ifindex_, kBothWays);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) {
    return fmt::format("the clsact qdisc can't be made ({})", errno_text(-made));
  }
  made_qdisc_ = made == 0;
  prepared_ = true;
  if (!made_qdisc_) remove_stale();
  return "";
}

/// A qdisc that another one of us made is ours as well from now on: the last to go takes it along.
void TcFilters::remove_stale() {
  for (const bool ingress : {true, false}) {
    const bpf_tc_hook hook = hook_of(ifindex_, point_of(ingress));
    for (std::uint32_t priority = 1; priority <= kPriorities; ++priority) {
      for (std::uint32_t handle = kFirstHandle; handle < kFirstHandle + kHandles; ++handle) {
        bpf_tc_opts options{};
        options.sz = sizeof options;
        options.handle = handle;
        options.priority = priority;
        if (bpf_tc_query(&hook, &options) != 0) continue;
        const auto owner = owner_of(options.prog_id);
        if (!owner) continue;
        made_qdisc_ = made_qdisc_ || owner->made_qdisc != 0;
        if (!is_alive(*owner, monotonic_ns())) remove({ingress, handle, priority});
      }
    }
  }
}

std::string TcFilters::attach(bool ingress, int program) {
  if (std::string error = prepare(); !error.empty()) return error;
  const bpf_tc_hook hook = hook_of(ifindex_, point_of(ingress));
  int last = 0;
  for (std::uint32_t priority = 1; priority <= kPriorities; ++priority) {
    for (std::uint32_t handle = kFirstHandle; handle < kFirstHandle + kHandles; ++handle) {
      bpf_tc_opts options{};
      options.sz = sizeof options;
      options.handle = handle;
      options.priority = priority;
      options.prog_fd = program;
      last = bpf_tc_attach(&hook, &options);
      if (last == 0) {
        filters_.push_back({ingress, handle, priority});
        return "";
      }
      if (last != -EEXIST) break;
    }
  }
  return fmt::format("the kernel takes no filter there ({})", errno_text(-last));
}

void TcFilters::remove(const Place& place) const {
  const bpf_tc_hook hook = hook_of(ifindex_, point_of(place.ingress));
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = place.handle;
  options.priority = place.priority;
  // The interface may be gone, and the filter with it.
  (void)bpf_tc_detach(&hook, &options);
}

void TcFilters::remove_qdisc_if_empty() const {
  if (has_filters(ifindex_, true) || has_filters(ifindex_, false)) return;
  bpf_tc_hook hook = hook_of(ifindex_, kBothWays);
  (void)bpf_tc_hook_destroy(&hook);
}

void TcFilters::clean_up() {
  remove_stale();
  if (made_qdisc_) remove_qdisc_if_empty();
  made_qdisc_ = false;
}

bool filters_left_behind() {
  const std::uint64_t now = monotonic_ns();
  for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const auto owner = owner_of(id);
    if (owner && !is_alive(*owner, now)) return true;
  }
  return false;
}

void remove_filters_left_behind() {
  const auto interfaces = list_interfaces();
  if (!interfaces) return;
  for (const Interface& interface : *interfaces) TcFilters(interface.ifindex).clean_up();
}

void TcFilters::detach() {
  for (const Place& place : filters_) remove(place);
  filters_.clear();
  if (made_qdisc_) remove_qdisc_if_empty();
  made_qdisc_ = false;
  prepared_ = false;
}

}  // namespace listenq
