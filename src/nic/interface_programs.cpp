// SPDX-License-Identifier: Apache-2.0
//
// See interface_programs.h.
#include "nic/interface_programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "nic.skel.h"
#include "probe/libbpf_log.h"
#include "probe/program_times.h"
#include "util/text.h"

namespace listenq {
namespace {

// Of linux/bpf.h since 6.6; the header here may be older.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr std::uint32_t kBefore = 1U << 3U;  // BPF_F_BEFORE, without another program: first of all

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};

/// In bytes; 0: not known. No member that is looked for begins the structure.
std::uint32_t offset_of(const btf& types, const char* type_name, std::string_view member) {
  const int id = btf__find_by_name_kind(&types, type_name, BTF_KIND_STRUCT);
  if (id <= 0) return 0;
  const btf_type* type = btf__type_by_id(&types, static_cast<__u32>(id));
  const std::span<const btf_member> members(btf_members(type), btf_vlen(type));
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    if (btf__name_by_offset(&types, members[i].name_off) != member) continue;
    return btf_member_bit_offset(type, i) / 8;
  }
  return 0;
}

/// For people: "xdp_dispatcher (id 17)".
std::string program_name(std::uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) {
    return fmt::format("id {}", id);
  }
  return fmt::format("{} (id {})", printable(std::data(info.name)), id);
}

std::string refusal(int error) {
  switch (error) {
    case EOPNOTSUPP:
      return "its driver can't";
    case EBUSY:
    case EEXIST:
      return "another program holds it";
    case EINVAL:
    case ERANGE:
      return fmt::format("its driver can't as it is set up now (large frames?): {}",
                         errno_text(error));
    default:
      return errno_text(error);
  }
}

std::uint32_t key_of(std::uint16_t slot, std::uint16_t port) {
  return static_cast<std::uint32_t>(slot) << 16U | port;
}

}  // namespace

NicPrograms::NicPrograms(bool tcx) {
  shared_.tcx = tcx;
  keep_libbpf_warnings();
  const std::unique_ptr<btf, BtfDeleter> types(btf__load_vmlinux_btf());
  if (!types) return;
  shared_.synack_time = offset_of(*types, "tcp_request_sock", "snt_synack");
  shared_.synack_isn = offset_of(*types, "tcp_request_sock", "snt_isn");
}

bool NicPrograms::add_port(std::uint16_t slot, std::uint16_t port) {
  const std::uint32_t key = key_of(slot, port);
  const listenq_nic_counts nothing{};
  return bpf_map_update_elem(shared_.port_counts.get(), &key, &nothing, BPF_ANY) == 0;
}

void NicPrograms::read_ports(const TakePort& take) {
  if (!shared_.port_counts) return;
  if (!batches_ || !read_in_batches(take)) {
    batches_ = false;
    read_one_by_one(take);
  }
}

/// False when the first of them failed, so that nothing was taken.
bool NicPrograms::read_in_batches(const TakePort& take) {
  constexpr std::uint32_t kBatch = 512;
  std::vector<std::uint32_t> keys(kBatch);
  std::vector<listenq_nic_counts> values(kBatch);
  std::uint32_t position = 0;  // the kernel's, a bucket of the table
  for (bool first = true;; first = false) {
    std::uint32_t count = kBatch;
    const int error = bpf_map_lookup_batch(shared_.port_counts.get(), first ? nullptr : &position,
                                           &position, keys.data(), values.data(), &count, nullptr);
    if (error != 0 && error != -ENOENT) return !first;
    for (std::uint32_t i = 0; i < count; ++i) {
      take(static_cast<std::uint16_t>(keys[i] >> 16U), static_cast<std::uint16_t>(keys[i]),
           values[i]);
    }
    if (error != 0) return true;  // that was the end
  }
}

void NicPrograms::read_one_by_one(const TakePort& take) {
  const int map = shared_.port_counts.get();
  std::uint32_t key = 0;
  listenq_nic_counts counts{};
  for (const std::uint32_t* before = nullptr; bpf_map_get_next_key(map, before, &key) == 0;
       before = &key) {
    if (bpf_map_lookup_elem(map, &key, &counts) != 0) continue;
    take(static_cast<std::uint16_t>(key >> 16U), static_cast<std::uint16_t>(key), counts);
  }
}

void NicPrograms::remove_port(std::uint16_t slot, std::uint16_t port) {
  const std::uint32_t key = key_of(slot, port);
  (void)bpf_map_delete_elem(shared_.port_counts.get(), &key);
}

InterfacePrograms::InterfacePrograms(const Interface& interface, const Wish& wish)
    : ifindex_(interface.ifindex), slot_(wish.slot), mode_(wish.mode), filters_(ifindex_) {}

InterfacePrograms::~InterfacePrograms() {
  unload();
}

void InterfacePrograms::unload() {
  nic_bpf__destroy(skeleton_);
  skeleton_ = nullptr;
}

Result<std::unique_ptr<InterfacePrograms>> InterfacePrograms::attach(NicPrograms& programs,
                                                                     const Interface& interface,
                                                                     const Wish& wish) {
  std::unique_ptr<InterfacePrograms> result(new InterfacePrograms(interface, wish));
  NicPrograms::Shared& shared = programs.shared();
  if (wish.mode != NicMode::tc) {
    std::string error = interface.xdp_program != 0
                            ? fmt::format("it belongs to program {}, which is left in place",
                                          program_name(interface.xdp_program))
                        : has_ethernet_header(interface) ? result->load(shared, interface, wish)
                                                         : "its frames have no Ethernet header";
    if (error.empty()) error = result->attach_xdp();
    if (!error.empty()) {
      result->note_ = fmt::format("{} can't be had: {}",
                                  wish.mode == NicMode::xdp ? "native XDP" : "generic XDP", error);
      result->mode_ = NicMode::tc;
      result->unload();
    }
  }
  if (result->skeleton_ == nullptr) {
    Wish plain = wish;
    plain.mode = NicMode::tc;
    if (std::string error = result->load(shared, interface, plain); !error.empty()) {
      return failure(ErrorKind::unsupported, std::move(error));
    }
  }
  for (const bool ingress : {true, false}) {
    if (ingress && result->mode_ != NicMode::tc) continue;
    if (std::string error = result->attach_tc(shared, ingress); !error.empty()) {
      result->detach();
      return failure(ErrorKind::unsupported, std::move(error));
    }
  }
  return result;
}

/// The text of an error, or "". Frames of several pieces are asked for first: without them a driver
/// that makes such refuses XDP. Not for generic XDP: the copy that the kernel makes for such a
/// program has no mac_len (seen on 6.18), and all tc programs behind it miss the Ethernet header.
std::string InterfacePrograms::load(NicPrograms::Shared& shared, const Interface& interface,
                                    const Wish& wish) {
  const bool xdp = wish.mode != NicMode::tc;
  const bool frags = wish.mode == NicMode::xdp && shared.xdp_frags.value_or(true);
  skeleton_ = nic_bpf__open();
  if (skeleton_ == nullptr) return last_libbpf_warning();
  auto& facts = *skeleton_->rodata;
  facts.listenq_nic_slot = wish.slot;
  facts.listenq_nic_seed = wish.seed;
  facts.listenq_nic_ethernet = has_ethernet_header(interface) ? 1 : 0;
  facts.listenq_nic_frags = frags ? 1 : 0;
  facts.listenq_nic_synack_time = shared.synack_time;
  facts.listenq_nic_synack_isn = shared.synack_isn;
  skeleton_->bss->listenq_nic_owner = this_process();
  bpf_program__set_autoload(skeleton_->progs.nic_xdp, xdp);
  bpf_program__set_autoload(skeleton_->progs.nic_in, !xdp);
  bpf_map__set_autocreate(skeleton_->maps.rooms, xdp);
  if (frags) bpf_program__set_flags(skeleton_->progs.nic_xdp, BPF_F_XDP_HAS_FRAGS);
  if (shared.port_counts) {
    bpf_map__reuse_fd(skeleton_->maps.port_counts, shared.port_counts.get());
    bpf_map__reuse_fd(skeleton_->maps.open_connections, shared.open_connections.get());
  }
  if (nic_bpf__load(skeleton_) != 0) {
    unload();
    if (frags && !shared.xdp_frags) {
      shared.xdp_frags = false;
      return load(shared, interface, wish);
    }
    return last_libbpf_warning();
  }
  if (frags) shared.xdp_frags = true;
  if (!shared.port_counts) {
    shared.port_counts = Fd(::dup(bpf_map__fd(skeleton_->maps.port_counts)));
    shared.max_ports = bpf_map__max_entries(skeleton_->maps.port_counts);
    shared.open_connections = Fd(::dup(bpf_map__fd(skeleton_->maps.open_connections)));
  }
  measures_handshakes_ = shared.synack_time != 0 && shared.synack_isn != 0;
  return "";
}

std::string InterfacePrograms::attach_xdp() {
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = mode_ == NicMode::xdp ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  in_ = Fd(bpf_link_create(bpf_program__fd(skeleton_->progs.nic_xdp), static_cast<int>(ifindex_),
                           BPF_XDP, &options));
  return in_ ? "" : refusal(errno);
}

/// First of all programs there: what comes later sees the packet all the same.
std::string InterfacePrograms::attach_tc(NicPrograms::Shared& shared, bool ingress) {
  const int program = bpf_program__fd(ingress ? skeleton_->progs.nic_in : skeleton_->progs.nic_out);
  if (shared.tcx) {
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = kBefore;
    Fd link(bpf_link_create(program, static_cast<int>(ifindex_), ingress ? kTcxIngress : kTcxEgress,
                            &options));
    if (link) {
      (ingress ? in_ : out_) = std::move(link);
      return "";
    }
    if (errno != EINVAL)
      return fmt::format("the kernel does not attach it ({})", errno_text(errno));
    shared.tcx = false;
  }
  return filters_.attach(ingress, program, skeleton_->bss->listenq_nic_owner.made_qdisc);
}

void InterfacePrograms::detach() {
  filters_.detach();
}

void InterfacePrograms::set_port(std::uint16_t port, std::uint8_t bits) {
  // One writer, and a byte: a program sees the old bits or the new ones.
  std::uint8_t& both = skeleton_->bss->listenq_nic_ports[port >> 1U];
  const unsigned shift = (port & 1U) * 4U;
  both =
      static_cast<std::uint8_t>((both & ~(15U << shift)) | (static_cast<unsigned>(bits) << shift));
}

void InterfacePrograms::set_addresses(const LocalAddresses& addresses) {
  auto& memory = *skeleton_->bss;
  const std::uint32_t next = (memory.listenq_nic_addresses_in_use + 1) & 1U;
  auto made = std::make_unique<listenq_nic_addresses>();
  made->all = addresses.all ? 1 : 0;
  for (const LocalAddresses::Address& address : addresses.addresses) {
    std::array<std::uint32_t, 4> words{};
    std::memcpy(words.data(), address.data(), address.size());
    std::uint32_t at = LISTENQ_NIC_ADDRESS_HASH(words);
    std::uint32_t probes = 1;
    const auto taken = [&] {
      const auto& entry = made->table[at];
      return std::any_of(std::begin(entry), std::end(entry), [](auto word) { return word != 0; });
    };
    while (taken() && probes < LISTENQ_NIC_PROBES) {
      at = (at + 1) & (LISTENQ_NIC_ADDRESSES - 1);
      ++probes;
    }
    if (taken()) made->all = 1;  // too many in one place: rather too much than too little
    std::copy(words.begin(), words.end(), std::begin(made->table[at]));
  }
  std::memcpy(&memory.listenq_nic_addresses[next], made.get(), sizeof *made);
  __atomic_store_n(&memory.listenq_nic_addresses_in_use, next, __ATOMIC_RELEASE);
}

listenq_nic_totals InterfacePrograms::totals() const {
  const int cpus = libbpf_num_possible_cpus();
  std::vector<listenq_nic_totals> each(static_cast<std::size_t>(std::max(cpus, 1)));
  const std::uint32_t zero = 0;
  listenq_nic_totals sum{};
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.totals), &zero, each.data()) != 0) return sum;
  for (const listenq_nic_totals& one : each) {
    sum.passed += one.passed;
    sum.malformed += one.malformed;
    sum.fragments += one.fragments;
    sum.evictions += one.evictions;
  }
  return sum;
}

void InterfacePrograms::list_programs(std::vector<RawProgram>& programs) const {
  if (skeleton_ == nullptr) return;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) {
    add_program(programs, bpf_program__name(program), bpf_program__fd(program));
  }
}

void InterfacePrograms::beat(std::uint64_t monotonic_ns) {
  skeleton_->bss->listenq_nic_owner.beat_ns = monotonic_ns;
}

}  // namespace listenq
