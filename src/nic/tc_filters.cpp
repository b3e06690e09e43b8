// SPDX-License-Identifier: Apache-2.0
//
// See tc_filters.h.
#include "nic/tc_filters.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
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
#include <utility>

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

/// When it can't be asked: yes; then it is not made, and the filter's error tells.
bool has_clsact(std::uint32_t ifindex) {
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  bool found = false;
  const auto read = netlink_dump(
      {NETLINK_ROUTE, RTM_GETQDISC, std::as_bytes(std::span(&body, 1)), "queueing disciplines"},
      [&](const NetlinkMessage& message) {
        const auto about = netlink_value<tcmsg>(message.payload);
        if (!about || about->tcm_ifindex != static_cast<int>(ifindex)) return true;
        for_each_attribute(message.payload.subspan(sizeof(tcmsg)),
                           [&](std::uint16_t type, std::span<const std::byte> value) {
                             found =
                                 found || (type == TCA_KIND && netlink_string(value) == "clsact");
                           });
        return !found;
      });
  return found || !read;
}

/// Requests that go to the kernel by one call: it carries out all of them before a signal, SIGKILL
/// too, can end the process.
class Requests {
 public:
  void add_qdisc(std::uint32_t ifindex) {
    tcmsg body{};
    body.tcm_ifindex = static_cast<int>(ifindex);
    body.tcm_parent = TC_H_CLSACT;
    body.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    const std::size_t start = begin(RTM_NEWQDISC, body);
    attribute(TCA_KIND, "clsact", sizeof "clsact");
    end(start);
  }

  void add_filter(std::uint32_t ifindex, bool ingress, std::uint32_t handle, std::uint32_t priority,
                  int program) {
    tcmsg body{};
    body.tcm_ifindex = static_cast<int>(ifindex);
    body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
    body.tcm_handle = handle;
    body.tcm_info = TC_H_MAKE(priority << 16U, htons(ETH_P_ALL));
    const std::size_t start = begin(RTM_NEWTFILTER, body);
    attribute(TCA_KIND, "bpf", sizeof "bpf");
    const std::size_t options = bytes_.size();
    attribute(TCA_OPTIONS, nullptr, 0);
    const auto fd = static_cast<std::uint32_t>(program);
    attribute(TCA_BPF_FD, &fd, sizeof fd);
    const std::string_view name = ingress ? "nic_in" : "nic_out";
    attribute(TCA_BPF_NAME, name.data(), name.size() + 1);  // literals end with NUL
    const std::uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
    attribute(TCA_BPF_FLAGS, &flags, sizeof flags);
    const auto length = static_cast<std::uint16_t>(bytes_.size() - options);
    std::memcpy(bytes_.data() + options + offsetof(rtattr, rta_len), &length, sizeof length);
    end(start);
  }

  /// What came of each, 0 or a negative errno; empty and errno when they could not be sent.
  [[nodiscard]] std::vector<int> send() {
    const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket) return {};
    const auto sent = ::send(socket.get(), bytes_.data(), bytes_.size(), 0);
    if (sent != static_cast<ssize_t>(bytes_.size())) return {};
    std::vector<int> results;
    std::vector<std::byte> answer(std::size_t{16} * 1024);
    while (results.size() < count_) {
      const ssize_t got = ::recv(socket.get(), answer.data(), answer.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return {};
      std::span<const std::byte> rest(answer.data(), static_cast<std::size_t>(got));
      while (const auto header = netlink_value<nlmsghdr>(rest)) {
        if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > rest.size()) break;
        const auto error = netlink_value<nlmsgerr>(rest.subspan(NLMSG_HDRLEN));
        if (header->nlmsg_type == NLMSG_ERROR && error) results.push_back(error->error);
        rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header->nlmsg_len), rest.size()));
      }
    }
    return results;
  }

 private:
  void append(const void* data, std::size_t size) {
    const auto* const from = static_cast<const std::byte*>(data);
    if (size > 0) bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize((bytes_.size() + 3) & ~std::size_t{3});
  }
  std::size_t begin(std::uint16_t type, const tcmsg& body) {
    const std::size_t start = bytes_.size();
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    header.nlmsg_seq = static_cast<std::uint32_t>(++count_);
    append(&header, sizeof header);
    append(&body, sizeof body);
    return start;
  }
  void attribute(std::uint16_t type, const void* data, std::size_t size) {
    const rtattr header{static_cast<std::uint16_t>(sizeof(rtattr) + size), type};
    append(&header, sizeof header);
    append(data, size);
  }
  void end(std::size_t start) {
    const auto length = static_cast<std::uint32_t>(bytes_.size() - start);
    std::memcpy(bytes_.data() + start + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  }

  std::vector<std::byte> bytes_;
  std::size_t count_ = 0;
};

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

void TcFilters::prepare() {
  if (std::exchange(prepared_, true)) return;
  qdisc_missing_ = !has_clsact(ifindex_);
  made_qdisc_ = qdisc_missing_;
  if (!qdisc_missing_) remove_stale();
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

/// 0 or a negative errno.
int TcFilters::hang(const Place& place, int program) {
  Requests requests;
  if (qdisc_missing_) requests.add_qdisc(ifindex_);
  requests.add_filter(ifindex_, place.ingress, place.handle, place.priority, program);
  const std::vector<int> results = requests.send();
  if (results.empty()) return -errno;
  if (qdisc_missing_) {
    const int made = results.front();
    if (made != 0 && made != -EEXIST) return made;
    qdisc_missing_ = false;
    made_qdisc_ = made == 0;
  }
  return results.back();
}

std::string TcFilters::attach(bool ingress, int program, std::uint32_t& made_qdisc) {
  prepare();
  made_qdisc = made_qdisc_ ? 1 : 0;
  int last = 0;
  for (std::uint32_t priority = 1; priority <= kPriorities; ++priority) {
    for (std::uint32_t handle = kFirstHandle; handle < kFirstHandle + kHandles; ++handle) {
      const Place place{ingress, handle, priority};
      last = hang(place, program);
      made_qdisc = made_qdisc_ ? 1 : 0;
      if (last == 0) {
        filters_.push_back(place);
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
  qdisc_missing_ = false;
  prepared_ = false;
}

}  // namespace listenq
