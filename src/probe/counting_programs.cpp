// SPDX-License-Identifier: Apache-2.0
//
// See counting_programs.h.
#include "probe/counting_programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btf.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "fentry.skel.h"
#include "kprobe.skel.h"
#include "portable.skel.h"
#include "probe/iterator.h"
#include "probe/libbpf_log.h"
#include "probe/program_times.h"
#include "util/fd.h"
#include "util/text.h"

namespace listenq {
namespace {

/// A program, the hook it belongs to, and what must be in the kernel's BTF for it to load.
struct Program {
  const char* name = "";
  Feature hook = Feature::hook_syn;
  const char* function = nullptr;  ///< a kernel function, or "btf_trace_..." of a tracepoint
  bool ipv6 = false;               ///< may be missing where IPv6 is switched off
};

using enum Feature;

constexpr std::array kFentryPrograms = {
    Program{"syn_in", hook_syn, "tcp_conn_request"},
    Program{"syn_out", hook_syn, "tcp_conn_request"},
    Program{"route_v4", hook_route, "tcp_v4_route_req"},
    Program{"route_v6", hook_route, "tcp_v6_route_req", true},
    Program{"synack", hook_synack, "tcp_make_synack"},
    Program{"ack_in", hook_ack, "tcp_check_req"},
    Program{"ack_out", hook_ack, "tcp_check_req"},
    Program{"cookie_v4_in", hook_cookie, "cookie_v4_check"},
    Program{"cookie_v4_out", hook_cookie, "cookie_v4_check"},
    Program{"cookie_v6_in", hook_cookie, "cookie_v6_check", true},
    Program{"cookie_v6_out", hook_cookie, "cookie_v6_check", true},
    Program{"error_in", hook_icmp_error, "tcp_req_err"},
    Program{"error_out", hook_icmp_error, "tcp_req_err"},
    Program{"queued", hook_queue, "inet_csk_reqsk_queue_add"},
    Program{"complete_in", hook_queue, "inet_csk_complete_hashdance"},
    Program{"complete_out", hook_queue, "inet_csk_complete_hashdance"},
    Program{"accepted", hook_accept, "inet_csk_accept"},
    Program{"synack_again", hook_retransmit, "btf_trace_tcp_retransmit_synack"},
    Program{"request_timer_in", hook_timeout, "reqsk_timer_handler"},
    Program{"request_timer_out", hook_timeout, "reqsk_timer_handler"},
    Program{"listener_closes", hook_close, "inet_csk_listen_stop"},
    Program{"listen_called", hook_listen, "__sys_listen"},
};

constexpr std::array kKprobePrograms = {
    Program{"syn_in", hook_syn},
    Program{"syn_out", hook_syn},
    Program{"route_v4", hook_route},
    Program{"route_v6", hook_route, nullptr, true},
    Program{"synack", hook_synack},
    Program{"ack_in", hook_ack},
    Program{"ack_out", hook_ack},
    Program{"cookie_v4_in", hook_cookie},
    Program{"cookie_v4_out", hook_cookie},
    Program{"cookie_v6_in", hook_cookie, nullptr, true},
    Program{"cookie_v6_out", hook_cookie, nullptr, true},
    Program{"error_in", hook_icmp_error},
    Program{"error_out", hook_icmp_error},
    Program{"queue_in", hook_queue},
    Program{"queue_out", hook_queue},
    Program{"complete_in", hook_queue},
    Program{"complete_out", hook_queue},
    Program{"left_v4", hook_accept},
    Program{"left_v6", hook_accept, nullptr, true},
    Program{"synack_again", hook_retransmit, "btf_trace_tcp_retransmit_synack"},
    Program{"request_timer_in", hook_timeout},
    Program{"request_timer_out", hook_timeout},
    Program{"listener_closes", hook_close},
    Program{"listen_in", hook_listen},
    Program{"listen_out", hook_listen},
};

constexpr std::array kPortablePrograms = {
    Program{"packet", hook_syn},
    Program{"data_ready", hook_queue, "btf_trace_sk_data_ready"},
    Program{"state_changed", hook_close, "btf_trace_inet_sock_set_state"},
    Program{"synack_again", hook_retransmit, "btf_trace_tcp_retransmit_synack"},
    Program{"request_timer_in", hook_timeout, "btf_trace_timer_expire_exit"},
    Program{"request_timer_out", hook_timeout, "btf_trace_timer_expire_exit"},
    Program{"accept_returns", hook_accept, "bpf_task_pt_regs"},
    Program{"accept4_returns", hook_accept, "bpf_task_pt_regs"},
    Program{"listen_returns", hook_listen, "bpf_task_pt_regs"},
};

/// What the portable way's program for packets feeds besides.
constexpr std::array kPacketHooks = {hook_synack, hook_ack, hook_cookie, hook_icmp_error};

bool denied(const KernelFacts& facts, Feature feature) {
  return !facts[feature].have && !facts[feature].why_not.empty();
}

// --- the kernel's BTF

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

bool is_in(const btf& types, const char* name) {
  const __u32 kind =
      std::string_view(name).starts_with(kTracepointInBtf) ? BTF_KIND_TYPEDEF : BTF_KIND_FUNC;
  return btf__find_by_name_kind(&types, name, kind) > 0;
}

std::uint32_t arguments_of(const btf& types, const char* function) {
  const int id = btf__find_by_name_kind(&types, function, BTF_KIND_FUNC);
  if (id <= 0) return 0;
  const btf_type* type = btf__type_by_id(&types, static_cast<__u32>(id));
  const btf_type* prototype = btf__type_by_id(&types, type->type);
  return BTF_INFO_VLEN(prototype->info);
}

/// Positions in struct linux_mib. The enum that has them is anonymous (uapi/linux/snmp.h).
struct MibIndexes {
  std::uint32_t listen_overflows = 0;
  std::uint32_t syn_queue_full = 0;
  std::uint32_t cookies = 0;
  std::uint32_t fastopen_overflows = 0;
  std::uint32_t defer_accept = 0;
};

std::optional<std::uint32_t> value_of(const btf& types, const btf_type& type, const char* name) {
  for (const struct btf_enum& value : std::span(btf_enum(&type), BTF_INFO_VLEN(type.info))) {
    if (std::strcmp(btf__name_by_offset(&types, value.name_off), name) == 0) {
      return static_cast<std::uint32_t>(value.val);
    }
  }
  return std::nullopt;
}

std::optional<MibIndexes> mib_indexes(const btf& types) {
  for (__u32 id = 1; id < btf__type_cnt(&types); ++id) {
    const btf_type& type = *btf__type_by_id(&types, id);
    if (BTF_INFO_KIND(type.info) != BTF_KIND_ENUM || BTF_INFO_VLEN(type.info) < 50) continue;
    if (std::strcmp(btf__name_by_offset(&types, btf_enum(&type)->name_off), "LINUX_MIB_NUM") != 0)
      continue;
    const auto at = [&](const char* name) { return value_of(types, type, name); };
    const auto overflows = at("LINUX_MIB_LISTENOVERFLOWS");
    const auto drops = at("LINUX_MIB_LISTENDROPS");
    const auto full = at("LINUX_MIB_TCPREQQFULLDROP");
    const auto sent = at("LINUX_MIB_SYNCOOKIESSENT");
    const auto valid = at("LINUX_MIB_SYNCOOKIESRECV");
    const auto invalid = at("LINUX_MIB_SYNCOOKIESFAILED");
    const auto fastopen = at("LINUX_MIB_TCPFASTOPENLISTENOVERFLOW");
    const auto defer = at("LINUX_MIB_TCPDEFERACCEPTDROP");
    if (!overflows || !drops || !full || !sent || !valid || !invalid || !fastopen || !defer) break;
    // The programs read neighbours at once.
    if (*drops != *overflows + 1 || *valid != *sent + 1 || *invalid != *sent + 2) break;
    return MibIndexes{*overflows, *full, *sent, *fastopen, *defer};
  }
  return std::nullopt;
}

/// What the ways need to know of the kernel's types; the BTF itself is several megabytes.
struct KernelTypes {
  std::optional<MibIndexes> mib;
  std::uint32_t route_arguments = 0;
  std::uint32_t conn_request = 0;        ///< the type id of tcp_conn_request(); 0: none
  bool typed_reads = false;              ///< has bpf_rdonly_cast()
  std::set<std::string_view> functions;  ///< of those that the programs name
};

std::optional<KernelTypes> kernel_types() {
  const Btf types(btf__load_vmlinux_btf());
  if (!types) return std::nullopt;
  KernelTypes found;
  found.mib = mib_indexes(*types);
  found.route_arguments = arguments_of(*types, "tcp_v4_route_req");
  const int id = btf__find_by_name_kind(types.get(), "tcp_conn_request", BTF_KIND_FUNC);
  found.conn_request = id > 0 ? static_cast<std::uint32_t>(id) : 0;
  found.typed_reads = is_in(*types, "bpf_rdonly_cast");
  const auto look_for = [&](std::span<const Program> programs) {
    for (const Program& program : programs) {
      if (program.function == nullptr || found.functions.contains(program.function)) continue;
      if (is_in(*types, program.function)) found.functions.insert(program.function);
    }
  };
  look_for(kFentryPrograms);
  look_for(kKprobePrograms);
  look_for(kPortablePrograms);
  return found;
}

// --- whether a way is worth a try: cheaper than loading all of its programs in vain

/// Loads and attaches a program that does nothing.
std::string trampoline_refused(const KernelTypes& types) {
  if (types.conn_request == 0) return "the kernel's BTF has no tcp_conn_request()";
  const std::array<bpf_insn, 2> program = {{
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  }};
  bpf_prog_load_opts options{};
  options.sz = sizeof(options);
  options.expected_attach_type = BPF_TRACE_FENTRY;
  options.attach_btf_id = types.conn_request;
  const Fd loaded(bpf_prog_load(BPF_PROG_TYPE_TRACING, "listenq_try", "GPL", program.data(),
                                program.size(), &options));
  if (!loaded) return fmt::format("the kernel does not load it ({})", errno_text(errno));
  const Fd attached(bpf_raw_tracepoint_open(nullptr, loaded.get()));
  if (!attached) return fmt::format("the kernel does not attach it ({})", errno_text(errno));
  return "";
}

std::string kprobe_refused() {
  if (::access("/sys/bus/event_source/devices/kprobe/type", R_OK) == 0) return "";
  return "the kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)";
}

/// Loads a program that does nothing but a compare-and-swap on its stack.
std::string compare_and_swap_refused(const KernelTypes& types) {
  const std::array<bpf_insn, 5> program = {{
      {BPF_ST | BPF_DW | BPF_MEM, BPF_REG_10, 0, -8, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1},
      {BPF_STX | BPF_DW | BPF_ATOMIC, BPF_REG_10, BPF_REG_1, -8, BPF_CMPXCHG},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  }};
  const Fd loaded(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "listenq_try", "GPL", program.data(),
                                program.size(), nullptr));
  if (loaded) return "";
  if (errno != EINVAL) return fmt::format("the kernel does not load it ({})", errno_text(errno));
  return no_compare_and_swap(types.functions.contains("btf_trace_sk_data_ready"));
}

/// A mount of the cgroup v2 hierarchy that is nowhere: `ip netns exec` and many containers have a
/// /sys of their own, without the mounts below it.
Fd mount_cgroups() {
#ifdef SYS_fsopen  // also where the C library has no function for it
  constexpr unsigned kFsopenCloexec = 1;
  constexpr unsigned kFsconfigCmdCreate = 6;
  constexpr unsigned kFsmountCloexec = 1;
  const Fd filesystem(static_cast<int>(::syscall(SYS_fsopen, "cgroup2", kFsopenCloexec)));
  if (!filesystem ||
      ::syscall(SYS_fsconfig, filesystem.get(), kFsconfigCmdCreate, nullptr, nullptr, 0) != 0) {
    return {};
  }
  const Fd mounted(static_cast<int>(::syscall(SYS_fsmount, filesystem.get(), kFsmountCloexec, 0)));
  if (!mounted) return {};
  // What fsmount() returns is only a place.
  return Fd(::openat(mounted.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
#else
  return {};
#endif
}

bool is_root_cgroup(const Fd& cgroup) {
  constexpr ino_t kRootInode = 1;
  struct stat about {};
  return ::fstat(cgroup.get(), &about) == 0 && about.st_ino == kRootInode;
}

/// The root of the cgroup v2 hierarchy, opened; its programs see every socket of the machine.
Fd open_root_cgroup(std::string& why_not) {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    const std::string file = std::string(path) + "/cgroup.controllers";
    if (::access(file.c_str(), F_OK) != 0) continue;
    Fd root(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (root && is_root_cgroup(root)) return root;
    if (root) why_not = "only a part of the cgroup tree is visible here (a cgroup namespace)";
  }
  Fd root = mount_cgroups();
  if (root && is_root_cgroup(root)) return root;
  if (root) why_not = "only a part of the cgroup tree is visible here (a cgroup namespace)";
  if (why_not.empty()) why_not = "no cgroup v2 hierarchy is mounted below /sys/fs/cgroup";
  return {};
}

// --- the three skeletons, alike but for their types

template <class Skeleton>
struct Functions;
template <>
struct Functions<fentry_bpf> {
  static constexpr auto open = fentry_bpf__open;
  static constexpr auto load = fentry_bpf__load;
  static constexpr auto destroy = fentry_bpf__destroy;
  static constexpr std::span<const Program> programs = kFentryPrograms;
};
template <>
struct Functions<kprobe_bpf> {
  static constexpr auto open = kprobe_bpf__open;
  static constexpr auto load = kprobe_bpf__load;
  static constexpr auto destroy = kprobe_bpf__destroy;
  static constexpr std::span<const Program> programs = kKprobePrograms;
};
template <>
struct Functions<portable_bpf> {
  static constexpr auto open = portable_bpf__open;
  static constexpr auto load = portable_bpf__load;
  static constexpr auto destroy = portable_bpf__destroy;
  static constexpr std::span<const Program> programs = kPortablePrograms;
};

template <class Skeleton>
class Attached final : public CountingPrograms {
 public:
  explicit Attached(Skeleton* skeleton) : skeleton_(skeleton) {}
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
  ~Attached() override {
    for (bpf_link* link : links_) bpf_link__destroy(link);
    ring_buffer__free(ring_);
    Functions<Skeleton>::destroy(skeleton_);
  }

  /// The text of an error, or "".
  std::string load(const KernelTypes& types, const KernelFacts& facts);
  std::string attach(Fd cgroup, KernelFacts& facts);

  std::uint32_t next_epoch() override { return skeleton_->bss->listenq_epoch++; }
  void settle() override;
  std::string read_counts(const TakeCounts& take) override;
  void read_closed(const TakeClosed& take) override;
  void read_leftover(const TakeLeftover& take) override;
  [[nodiscard]] std::array<std::uint64_t, LISTENQ_LOST_CAUSES> lost() const override {
    std::array<std::uint64_t, LISTENQ_LOST_CAUSES> causes{};
    for (std::size_t i = 0; i < causes.size(); ++i) causes[i] = skeleton_->bss->listenq_lost[i];
    return causes;
  }
  [[nodiscard]] std::uint64_t missed_runs() override;
  [[nodiscard]] Room room() const override {
    return {bpf_map__max_entries(skeleton_->maps.listeners),
            bpf_map__max_entries(skeleton_->maps.leftover)};
  }
  void list_programs(std::vector<RawProgram>& programs) const override;

 private:
  static constexpr bool kPortable = std::is_same_v<Skeleton, portable_bpf>;

  bpf_program* find(const char* name) {
    return bpf_object__find_program_by_name(skeleton_->obj, name);
  }
  std::string find_moments();
  std::string attach_one(const Program& program, const Fd& cgroup);

  Skeleton* skeleton_;
  std::vector<bpf_link*> links_;
  ring_buffer* ring_ = nullptr;
  TakeClosed take_closed_;
  Fd counts_link_;
};

template <class Skeleton>
std::string Attached<Skeleton>::load(const KernelTypes& types, const KernelFacts& facts) {
  const MibIndexes& mib = *types.mib;
  auto& constants = *skeleton_->rodata;
  constants.listenq_mib_listen_overflows = mib.listen_overflows;
  constants.listenq_mib_syn_queue_full = mib.syn_queue_full;
  constants.listenq_mib_cookies = mib.cookies;
  constants.listenq_mib_fastopen_overflows = mib.fastopen_overflows;
  constants.listenq_mib_defer_accept = mib.defer_accept;
  constants.listenq_cookie_helper = facts[Feature::cookie_helper].have ? 1 : 0;
  constants.listenq_typed_reads = types.typed_reads ? 1 : 0;
  if constexpr (std::is_same_v<Skeleton, fentry_bpf>) {
    constants.listenq_route_arguments = types.route_arguments;
  }
  for (const Program& program : Functions<Skeleton>::programs) {
    const bool possible = program.function == nullptr || types.functions.contains(program.function);
    if (!possible || denied(facts, program.hook)) {
      bpf_program__set_autoload(find(program.name), false);
    }
  }
  errno = 0;
  if (Functions<Skeleton>::load(skeleton_) != 0) {
    return fmt::format("the kernel does not load its programs ({})", errno_text(errno));
  }
  return "";
}

template <class Skeleton>
std::string Attached<Skeleton>::find_moments() {
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(bpf_map__fd(skeleton_->maps.moments), &info, &length) != 0) {
    return errno_text(errno);
  }
  skeleton_->bss->listenq_moments_id = info.id;
  const Fd link(
      bpf_link_create(bpf_program__fd(skeleton_->progs.iter__moments), 0, BPF_TRACE_ITER, nullptr));
  if (!link) return errno_text(errno);
  std::string error =
      run_iterator(link.get(), 1, Eagain::is_an_error, [](const void*) { /* it writes none */ });
  if (!error.empty()) return error;
  return skeleton_->bss->listenq_moments_pcpu != 0 ? "" : "the map of moments was not found";
}

template <class Skeleton>
std::string Attached<Skeleton>::attach_one(const Program& program, const Fd& cgroup) {
  bpf_program* found = find(program.name);
  if (bpf_program__fd(found) < 0) {
    return program.function != nullptr ? kernel_lacks(program.function) : "not loaded";
  }
  errno = 0;
  bpf_link* link = bpf_program__type(found) == BPF_PROG_TYPE_CGROUP_SKB
                       ? bpf_program__attach_cgroup(found, cgroup.get())
                       : bpf_program__attach(found);
  if (link == nullptr && errno == ENOENT && bpf_program__type(found) == BPF_PROG_TYPE_TRACEPOINT) {
    return "tracefs is not mounted at /sys/kernel/tracing, or the kernel has no tracepoints for "
           "system calls (CONFIG_FTRACE_SYSCALLS)";
  }
  if (link == nullptr) return errno_text(errno);
  links_.push_back(link);
  return "";
}

template <class Skeleton>
std::string Attached<Skeleton>::attach(Fd cgroup, KernelFacts& facts) {
  if (const std::string error = find_moments(); !error.empty()) {
    return "the per-CPU memory of the programs can't be found: " + error;
  }
  const bool ipv6 = ::access("/proc/net/if_inet6", F_OK) == 0;
  std::array<Fact, kFeatures> hooks;
  for (const Program& program : Functions<Skeleton>::programs) {
    if (denied(facts, program.hook)) continue;
    Fact& fact = hooks[static_cast<std::size_t>(program.hook)];
    if (!fact.why_not.empty()) continue;
    const std::string error = attach_one(program, cgroup);
    if (!error.empty() && program.ipv6 && !ipv6) continue;
    fact = {error.empty(), error};
  }
  const Fact& essential = hooks[static_cast<std::size_t>(hook_syn)];
  if (!essential.have && !denied(facts, hook_syn)) {
    return fmt::format("the kernel does not attach its programs ({})", essential.why_not);
  }
  for (auto i = static_cast<std::size_t>(hook_syn); i < kFeatures; ++i) {
    const auto hook = static_cast<Feature>(i);
    if (!denied(facts, hook)) facts[hook] = hooks[i];
  }
  if constexpr (kPortable) {
    for (const Feature hook : kPacketHooks) {
      if (!denied(facts, hook)) facts[hook] = facts[hook_syn];
    }
    if (!denied(facts, hook_route)) facts[hook_route] = {false, "no tracepoint tells the route"};
  }
  skeleton_->bss->listenq_sees_route = facts[hook_route].have ? 1 : 0;
  bpf_iter_link_info info{};
  info.map.map_fd = static_cast<__u32>(bpf_map__fd(skeleton_->maps.listeners));
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.iter_info = &info;
  options.iter_info_len = sizeof(info);
  counts_link_ = Fd(
      bpf_link_create(bpf_program__fd(skeleton_->progs.iter__counts), 0, BPF_TRACE_ITER, &options));
  if (!counts_link_) return fmt::format("no iterator over the counts ({})", errno_text(errno));
  ring_ = ring_buffer__new(
      bpf_map__fd(skeleton_->maps.closed),
      [](void* self, void* data, std::size_t size) {
        if (size >= sizeof(listenq_closed_record)) {
          static_cast<Attached*>(self)->take_closed_(*static_cast<listenq_closed_record*>(data));
        }
        return 0;
      },
      this, nullptr);
  if (ring_ == nullptr) return fmt::format("no ring buffer ({})", errno_text(errno));
  return "";
}

template <class Skeleton>
void Attached<Skeleton>::settle() {
  if constexpr (kPortable) {
    const int cpus = libbpf_num_possible_cpus();
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.flags = BPF_F_TEST_RUN_ON_CPU;
    for (int cpu = 0; cpu < cpus; ++cpu) {
      options.cpu = static_cast<__u32>(cpu);
      // A CPU that is offline handles no packets: the error says nothing more.
      (void)bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.settle_now), &options);
    }
  }
}

template <class Skeleton>
std::string Attached<Skeleton>::read_counts(const TakeCounts& take) {
  struct Record {
    listenq_counted head;
    listenq_counts counts;
  };
  static_assert(sizeof(Record) == sizeof(listenq_counted) + sizeof(listenq_counts));
  return run_iterator(counts_link_.get(), sizeof(Record), Eagain::is_an_error,
                      [&](const void* data) {
                        const auto& record = *static_cast<const Record*>(data);
                        take(record.head, record.counts);
                      });
}

template <class Skeleton>
void Attached<Skeleton>::read_closed(const TakeClosed& take) {
  take_closed_ = take;
  ring_buffer__consume(ring_);
  take_closed_ = nullptr;
}

template <class Skeleton>
std::uint64_t Attached<Skeleton>::missed_runs() {
  std::uint64_t missed = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) {
    bpf_prog_info info{};
    __u32 length = sizeof(info);
    const int fd = bpf_program__fd(program);
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0) missed += info.recursion_misses;
  }
  return missed;
}

template <class Skeleton>
void Attached<Skeleton>::list_programs(std::vector<RawProgram>& programs) const {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) {
    add_program(programs, bpf_program__name(program), bpf_program__fd(program));
  }
}

template <class Skeleton>
void Attached<Skeleton>::read_leftover(const TakeLeftover& take) {
  const int map = bpf_map__fd(skeleton_->maps.leftover);
  __u32 key = 0;
  const __u32* before = nullptr;
  for (__u32 next = 0; bpf_map_get_next_key(map, before, &next) == 0;) {
    key = next;
    before = &key;
    listenq_counts counts{};
    if (bpf_map_lookup_elem(map, &key, &counts) == 0) take(key, counts);
  }
}

template <class Skeleton>
std::unique_ptr<CountingPrograms> attach_way(const KernelTypes& types, Fd cgroup,
                                             KernelFacts& facts, Fact& fact) {
  Skeleton* skeleton = Functions<Skeleton>::open();
  if (skeleton == nullptr) {
    fact = {false, fmt::format("its programs can't be opened ({})", errno_text(errno))};
    return nullptr;
  }
  auto programs = std::make_unique<Attached<Skeleton>>(skeleton);
  std::string error = programs->load(types, facts);
  if (error.empty()) error = programs->attach(std::move(cgroup), facts);
  if (!error.empty()) {
    fact = {false, error, last_libbpf_warning()};
    return nullptr;
  }
  fact = {true, ""};
  return programs;
}

}  // namespace

std::unique_ptr<CountingPrograms> CountingPrograms::attach(BackendChoice way, KernelFacts& facts) {
  keep_libbpf_warnings();
  Fact& fact = facts[way == BackendChoice::fentry   ? Feature::fentry
                     : way == BackendChoice::kprobe ? Feature::kprobe
                                                    : Feature::portable];
  if (!fact.have && !fact.why_not.empty()) return nullptr;
  // Needed by each way that is tried; read once.
  static const std::optional<KernelTypes> types = kernel_types();
  if (!types) {
    fact = {false, "the kernel's BTF can't be read"};
    return nullptr;
  }
  if (!types->mib) {
    fact = {false, "the kernel's BTF does not tell where its MIB counters are"};
    return nullptr;
  }
  std::string why_not;
  Fd cgroup;
  if (way == BackendChoice::fentry) why_not = trampoline_refused(*types);
  if (way == BackendChoice::kprobe) why_not = kprobe_refused();
  if (way == BackendChoice::portable) why_not = compare_and_swap_refused(*types);
  if (way == BackendChoice::portable && why_not.empty()) cgroup = open_root_cgroup(why_not);
  if (!why_not.empty() && !cgroup) {
    fact = {false, why_not};
    return nullptr;
  }
  switch (way) {
    case BackendChoice::fentry:
      return attach_way<fentry_bpf>(*types, {}, facts, fact);
    case BackendChoice::kprobe:
      return attach_way<kprobe_bpf>(*types, {}, facts, fact);
    default:
      return attach_way<portable_bpf>(*types, std::move(cgroup), facts, fact);
  }
}

}  // namespace listenq
