// SPDX-License-Identifier: Apache-2.0
//
// The BPF programs at network interfaces: loaded once an interface, attached by links that end with
// this process. Kernels without links for tc (before 6.6) get a filter on the clsact qdisc, which
// outlives a killed process: the next one to watch that interface finds and removes it.
// All of it works on the interfaces of the network namespace that the calling thread is in.
#pragma once

#include <linux/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "listenq/abi.h"
#include "model/sample.h"
#include "nic/interfaces.h"
#include "nic/local_addresses.h"
#include "nic/tc_filters.h"
#include "util/fd.h"
#include "util/result.h"

struct nic_bpf;

namespace listenq {

/// What the programs of all interfaces share, and what of the kernel they need to know.
class NicPrograms {
 public:
  /// `tcx` false: as if the kernel had no links for tc.
  explicit NicPrograms(bool tcx);

  struct Shared {
    bool tcx = true;                ///< false as soon as the kernel refused one
    std::optional<bool> xdp_frags;  ///< XDP programs may take frames of several pieces (5.18)
    std::uint32_t synack_time = 0;  ///< offset of snt_synack in struct tcp_request_sock; 0: unknown
    std::uint32_t synack_isn = 0;   ///< of snt_isn
    Fd port_counts;                 ///< the maps, once an object was loaded
    std::uint32_t max_ports = 0;    ///< that port_counts can hold
    Fd open_connections;
  };
  [[nodiscard]] Shared& shared() { return shared_; }
  [[nodiscard]] const Shared& shared() const { return shared_; }

  /// Counts of one port of one interface (by slot, see InterfacePrograms), begun at 0. False: no
  /// room.
  [[nodiscard]] bool add_port(std::uint16_t slot, std::uint16_t port);
  using TakePort =
      std::function<void(std::uint16_t slot, std::uint16_t port, const listenq_nic_counts&)>;
  /// All of them, in no order; ports may be added and removed meanwhile by nobody.
  void read_ports(const TakePort& take);
  void remove_port(std::uint16_t slot, std::uint16_t port);

 private:
  [[nodiscard]] bool read_in_batches(const TakePort& take);
  void read_one_by_one(const TakePort& take);

  Shared shared_;
  bool batches_ = true;  ///< the kernel reads many entries by one call (5.6)
};

/// On one interface, from attach() on. The destructor lets go of all that is a link; filters that
/// are none take detach(), from within the namespace.
class InterfacePrograms {
 public:
  struct Wish {
    NicMode mode = NicMode::tc;
    std::uint16_t slot = 0;  ///< which one this is, among all that are watched now
    std::uint64_t seed = 0;  ///< random, one a namespace
  };

  /// Where XDP can't be had (its driver can't, or another program is there) tc is taken, and note()
  /// says why. An error when nothing could be attached.
  [[nodiscard]] static Result<std::unique_ptr<InterfacePrograms>> attach(NicPrograms& programs,
                                                                         const Interface& interface,
                                                                         const Wish& wish);

  InterfacePrograms(const InterfacePrograms&) = delete;
  InterfacePrograms& operator=(const InterfacePrograms&) = delete;
  ~InterfacePrograms();

  /// Takes off the filters that are no links, and the qdisc when it is ours and nobody else's
  /// filter hangs on it. Nothing to do on newer kernels.
  void detach();

  [[nodiscard]] NicMode mode() const { return mode_; }
  [[nodiscard]] const std::string& note() const { return note_; }
  [[nodiscard]] bool measures_handshakes() const { return measures_handshakes_; }
  /// Whether a killed process would leave something behind.
  [[nodiscard]] bool outlives_kill() const { return !filters_.empty(); }
  [[nodiscard]] std::uint16_t slot() const { return slot_; }

  /// LISTENQ_NIC_*; 0: no listener. From now on, at once.
  void set_port(std::uint16_t port, std::uint8_t bits);
  void set_addresses(const LocalAddresses& addresses);
  [[nodiscard]] listenq_nic_totals totals() const;
  void list_programs(std::vector<RawProgram>& programs) const;
  /// This process is alive: for others that find its filters.
  void beat(std::uint64_t monotonic_ns);

 private:
  InterfacePrograms(const Interface& interface, const Wish& wish);
  [[nodiscard]] std::string load(NicPrograms::Shared& shared, const Interface& interface,
                                 const Wish& wish);
  void unload();
  [[nodiscard]] std::string attach_xdp();
  [[nodiscard]] std::string attach_tc(NicPrograms::Shared& shared, bool ingress);

  std::uint32_t ifindex_;
  std::uint16_t slot_;
  NicMode mode_;
  std::string note_;
  bool measures_handshakes_ = false;
  nic_bpf* skeleton_ = nullptr;
  Fd in_;
  Fd out_;
  TcFilters filters_;
};

}  // namespace listenq
