// SPDX-License-Identifier: Apache-2.0
//
// See nic_programs.h.
#include "nic_programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "fail.h"
#include "nic.skel.h"
#include "remembered.skel.h"
#include "traffic.h"

namespace listenq::bench {
namespace {

// Of linux/bpf.h since 6.6; the header here may be older.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr std::uint32_t kSynacks = 65536;

// In bytes; 0: not known.
std::uint32_t offset_of(const btf& types, std::string_view member) {
  const int id = btf__find_by_name_kind(&types, "tcp_request_sock", BTF_KIND_STRUCT);
  if (id <= 0) return 0;
  const btf_type* type = btf__type_by_id(&types, static_cast<__u32>(id));
  const std::span<const btf_member> members(btf_members(type), btf_vlen(type));
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    if (btf__name_by_offset(&types, members[i].name_off) == member) {
      return btf_member_bit_offset(type, i) / 8;
    }
  }
  return 0;
}

template <typename Skeleton>
void set_facts(Skeleton& skeleton, bool frags) {
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_vmlinux_btf(), btf__free);
  if (!types) fail("this kernel has no BTF");
  auto& facts = *skeleton.rodata;
  facts.listenq_nic_seed = 0x6c697374656e71;
  facts.listenq_nic_ethernet = 1;
  facts.listenq_nic_frags = frags ? 1 : 0;
  facts.listenq_nic_synack_time = offset_of(*types, "snt_synack");
  facts.listenq_nic_synack_isn = offset_of(*types, "snt_isn");
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton.obj) {
    if (frags && bpf_program__type(program) == BPF_PROG_TYPE_XDP) {
      bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS);
    }
  }
}

// What the tool writes once the programs are loaded.
template <typename Skeleton>
void set_listeners(Skeleton& skeleton, const Ports& ports) {
  auto& memory = *skeleton.bss;
  for (const std::uint16_t port : ports) {
    memory.listenq_nic_ports[port >> 1U] = static_cast<std::uint8_t>(
        memory.listenq_nic_ports[port >> 1U] | (LISTENQ_NIC_ANY4 << (port & 1U) * 4U));
    const std::uint32_t key = port;
    const listenq_nic_counts nothing{};
    if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.port_counts), &key, &nothing, BPF_ANY) != 0) {
      fail_errno("making the counts of a port");
    }
  }
  const std::array<std::uint32_t, 4> words = {0, 0, htonl(0xffff), htonl(kNicServer)};
  std::copy(words.begin(), words.end(),
            std::begin(memory.listenq_nic_addresses[0].table[LISTENQ_NIC_ADDRESS_HASH(words)]));
}

int load_empty(bpf_prog_type type, __s32 verdict, __u32 flags) {
  std::array<bpf_insn, 2> code{};
  code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;  // of register 0, what is returned
  code[0].imm = verdict;
  code[1].code = BPF_JMP | BPF_EXIT;
  bpf_prog_load_opts options{};
  options.sz = sizeof(options);
  options.prog_flags = flags;
  const int fd =
      bpf_prog_load(type, "bench_empty", "Dual BSD/GPL", code.data(), code.size(), &options);
  if (fd < 0) fail_errno("loading an empty program");
  return fd;
}

}  // namespace

struct NicObject::Skeleton {
  nic_bpf* of_tool = nullptr;
  remembered_bpf* of_bench = nullptr;

  Skeleton() = default;
  Skeleton(const Skeleton&) = delete;
  Skeleton& operator=(const Skeleton&) = delete;
  ~Skeleton() {
    nic_bpf__destroy(of_tool);
    remembered_bpf__destroy(of_bench);
  }
  [[nodiscard]] bpf_object* object() const {
    return of_tool != nullptr ? of_tool->obj : of_bench->obj;
  }
};

NicObject NicObject::of_tool(const Ports& ports, bool frags) {
  auto skeleton = std::make_shared<Skeleton>();
  skeleton->of_tool = nic_bpf__open();
  if (skeleton->of_tool == nullptr) fail_errno("opening the programs of interfaces");
  set_facts(*skeleton->of_tool, frags);
  if (nic_bpf__load(skeleton->of_tool) != 0) fail_errno("loading the programs of interfaces");
  set_listeners(*skeleton->of_tool, ports);
  NicObject object(std::move(skeleton));
  object.ports_ = ports;
  return object;
}

NicObject NicObject::of_bench(const Ports& ports, const Alternative& options) {
  auto skeleton = std::make_shared<Skeleton>();
  skeleton->of_bench = remembered_bpf__open();
  if (skeleton->of_bench == nullptr) fail_errno("opening the alternative");
  set_facts(*skeleton->of_bench, true);
  skeleton->of_bench->rodata->bench_clients = options.clients;
  skeleton->of_bench->rodata->bench_forgetful = options.forgetful ? 1 : 0;
  if (remembered_bpf__load(skeleton->of_bench) != 0) fail_errno("loading the alternative");
  set_listeners(*skeleton->of_bench, ports);
  NicObject object(std::move(skeleton));
  object.ports_ = ports;
  return object;
}

int NicObject::program(const std::string& name) const {
  const bpf_program* found = bpf_object__find_program_by_name(skeleton_->object(), name.c_str());
  if (found == nullptr) fail("no program is called {}", name);
  return bpf_program__fd(found);
}

int NicObject::map(const std::string& name) const {
  const int fd = bpf_object__find_map_fd_by_name(skeleton_->object(), name.c_str());
  if (fd < 0) fail("no map is called {}", name);
  return fd;
}

listenq_nic_counts NicObject::counts() const {
  listenq_nic_counts sum{};
  for (const std::uint16_t port : ports_) {
    const std::uint32_t key = port;
    listenq_nic_counts one{};
    if (bpf_map_lookup_elem(map("port_counts"), &key, &one) != 0) fail_errno("reading counts");
    sum.syn_in += one.syn_in;
    sum.synack_out += one.synack_out;
    sum.ack_in += one.ack_in;
    sum.rst_in += one.rst_in;
  }
  return sum;
}

void NicObject::fill_synacks() const {
  struct Key {
    std::uint32_t far, near;
    std::uint16_t far_port, near_port;
  };
  struct Synack {
    std::uint64_t sent_ns;
    std::uint32_t isn, padding;
  };
  const int synacks = map("synacks4");
  for (std::uint32_t i = 0; i < 2 * kSynacks; ++i) {
    const Key key = {.far = htonl(0x0a900000U + i),
                     .near = htonl(kNicServer),
                     .far_port = htons(40000),
                     .near_port = htons(ports_.front())};
    const Synack value = {.sent_ns = 1, .isn = i, .padding = 0};
    if (bpf_map_update_elem(synacks, &key, &value, BPF_ANY) != 0) fail_errno("filling the table");
  }
}

void NicObject::forget_what_is_open() {
  const int open = map("open_connections");
  for (std::uint32_t slot = 0;; ++slot) {
    std::uint64_t hash = 0;
    if (bpf_map_lookup_elem(open, &slot, &hash) != 0) fail("no connection was found open");
    if (hash == 0) continue;
    const std::uint64_t nothing = 0;
    bpf_map_update_elem(open, &slot, &nothing, BPF_ANY);
    skeleton_->of_bench->bss->bench_slot = slot;
    return;
  }
}

EmptyNic::EmptyNic()
    : xdp_frags_(load_empty(BPF_PROG_TYPE_XDP, 2, BPF_F_XDP_HAS_FRAGS)),
      xdp_(load_empty(BPF_PROG_TYPE_XDP, 2, 0)),
      tc_(load_empty(BPF_PROG_TYPE_SCHED_CLS, -1, 0)) {}

EmptyNic::~EmptyNic() {
  close(xdp_frags_);
  close(xdp_);
  close(tc_);
}

OnInterface::OnInterface(NicWay way, int in, int out) {
  const int ifindex = static_cast<int>(if_nametoindex("lq0"));
  const auto attach = [&](int program, bpf_attach_type type, __u32 flags) {
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    options.flags = flags;
    const int link = bpf_link_create(program, ifindex, type, &options);
    if (link < 0) fail_errno("attaching a program to lq0");
    return link;
  };
  if (way == NicWay::tc) {
    in_ = attach(in, kTcxIngress, 0);
  } else {
    in_ = attach(in, BPF_XDP, way == NicWay::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
  }
  out_ = attach(out, kTcxEgress, 0);
}

OnInterface::~OnInterface() {
  close(in_);
  close(out_);
}

double test_run_ns(int program, Frame frame, int repeat) {
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.repeat = repeat;
  const double before = thread_cpu_s();
  if (bpf_prog_test_run_opts(program, &options) != 0) fail_errno("a test run");
  return (thread_cpu_s() - before) * 1e9 / repeat;
}

}  // namespace listenq::bench
