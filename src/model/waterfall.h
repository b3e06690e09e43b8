// SPDX-License-Identifier: Apache-2.0
//
// The way of connections to the listeners of one port, step by step, from the interface to
// accept(): NIC SYN -> listener SYN -> SYN-ACK -> handshake ACK -> queued -> accepted. Where it
// narrows, connections are lost. Kept by the Deriver; interfaces know ports, not sockets, so all
// listeners of a port in a namespace share one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/sample.h"

namespace listenq {

struct ListenerRow;
struct Snapshot;

/// Where connections can be lost, in the order of the way.
enum class WaterfallStep : std::uint8_t {
  before_tcp,      ///< SYN seen at the interface, never by a listener
  at_syn,          ///< SYN refused by the listener
  synack_out,      ///< SYN-ACK sent, never seen to leave by an interface
  unanswered,      ///< SYN-ACK that no ACK came for
  ack_before_tcp,  ///< handshake ACK seen at the interface, never by a listener
  at_ack,          ///< handshake ACK refused by the listener
  unaccepted,      ///< thrown away in the accept queue when a listener closed
  count_,
};

inline constexpr std::size_t kWaterfallSteps = static_cast<std::size_t>(WaterfallStep::count_);

/// As JSON names it.
[[nodiscard]] std::string_view step_name(WaterfallStep step);

/// Sums over the listeners and the interfaces since start_ns. What is absent is nullopt: of the
/// interfaces where none is watched or its ports are not those of listeners, of the listeners where
/// nothing counts it.
struct Waterfall {
  using Sum = std::optional<std::uint64_t>;

  enum class Nic : std::uint8_t { syns, syns_known, synacks, acks, rsts, count_ };
  enum class Tcp : std::uint8_t {
    syns,
    synacks,
    synack_retransmits,
    handshake_acks,
    accepts,
    closed_unaccepted,
    count_
  };
  static constexpr std::size_t kNic = static_cast<std::size_t>(Nic::count_);
  static constexpr std::size_t kTcp = static_cast<std::size_t>(Tcp::count_);

  [[nodiscard]] Sum nic_syns() const;  ///< for a listener; without those of nic_syns_known()
  [[nodiscard]] Sum nic_syns_known() const { return of_nic(Nic::syns_known); }
  [[nodiscard]] Sum syns() const { return of_tcp(Tcp::syns); }
  [[nodiscard]] Sum synacks() const { return of_tcp(Tcp::synacks); }
  [[nodiscard]] Sum synacks_sent() const;  ///< repeated ones too
  [[nodiscard]] Sum nic_synacks() const { return of_nic(Nic::synacks); }
  [[nodiscard]] Sum nic_acks() const { return of_nic(Nic::acks); }
  [[nodiscard]] Sum nic_rsts() const { return of_nic(Nic::rsts); }
  [[nodiscard]] Sum handshake_acks() const { return of_tcp(Tcp::handshake_acks); }
  [[nodiscard]] Sum queued() const;  ///< entered the accept queue
  [[nodiscard]] Sum accepts() const { return of_tcp(Tcp::accepts); }

  /// Never negative; what still is in a queue is not lost.
  [[nodiscard]] Sum lost(WaterfallStep step) const;
  /// Of how many.
  [[nodiscard]] Sum entered(WaterfallStep step) const;
  /// Where most is lost; nullopt: nowhere.
  [[nodiscard]] std::optional<WaterfallStep> lost_at() const;

  /// More was lost before TCP than up to the sample before.
  [[nodiscard]] bool loses_before_tcp() const {
    return lost(WaterfallStep::before_tcp).value_or(0) > lost_before_tcp_last;
  }

  /// Why interfaces and listeners can't be compared, or not wholly; empty: they can.
  [[nodiscard]] std::string note() const;

  /// What an interface counts is compared with what the listeners do.
  [[nodiscard]] bool has_nic() const { return watched && rewritten_by.empty(); }

  [[nodiscard]] static Counter counter_of(Tcp which);

  NetnsId netns{};
  std::uint16_t port = 0;
  bool watched = false;                        ///< some interface lists the port since start_ns
  bool listed = false;                         ///< some interface lists it now
  bool nics_incomplete = false;                ///< some interface of the namespace is not watched
  bool syn_queue_known = false;                ///< of every listener
  std::uint32_t listeners = 0;                 ///< that share it now
  std::uint32_t counters = 0;                  ///< bit per Counter: what is counted
  std::uint64_t start_ns = 0;                  ///< monotonic
  double since_seconds = 0;                    ///< from start_ns to this sample
  std::array<std::uint64_t, kNic> nic{};       ///< gained since start_ns, over all interfaces
  std::array<std::uint64_t, kTcp> tcp{};       ///< the same, over all listeners
  std::uint64_t entered_queue = 0;             ///< see queued(); it never goes back
  std::uint64_t in_syn_queue = 0;              ///< now
  std::uint64_t in_accept_queue = 0;           ///< now
  std::uint64_t in_syn_queue_at_start = 0;     ///< at start_ns
  std::uint64_t in_accept_queue_at_start = 0;  ///< at start_ns
  std::uint64_t lost_before_tcp_last = 0;      ///< in the sample before
  std::string rewritten_by;                    ///< RawNamespace::nat, where it is not empty

 private:
  [[nodiscard]] Sum of_nic(Nic which) const;
  [[nodiscard]] Sum of_tcp(Tcp which) const;
};

/// "NIC 1200 > SYN 1200 > SYN-ACK 640 > ACK 610 > queued 600 > accepted 590"; without the first
/// where no interface is compared.
[[nodiscard]] std::string waterfall_text(const Waterfall& waterfall);

/// One sentence about what is lost at a step, "3,120 of 9,360 SYNs seen at the interface never
/// reached ..."; empty where that is not known or nothing.
[[nodiscard]] std::string loss_text(const Waterfall& waterfall, WaterfallStep step);

/// Carries the waterfalls from sample to sample. The Deriver calls, for each: begin(), see() for
/// every row, see_closed() for every listener that the kernel told to have closed, finish().
class Waterfalls {
 public:
  void restart();
  void begin(Snapshot& snapshot, const Snapshot* previous);
  /// `before`: the same listener in the sample before; null: it is new, or was missed there.
  void see(ListenerRow& row, const ListenerRow* before, bool is_new);
  /// `last`: as the Deriver knew it, from this sample where `is_listed`; null: it came and went
  /// since the sample before.
  void see_closed(const RawClosed& closed, const ListenerRow* last, bool is_listed);
  /// Gives the rows their waterfalls.
  void finish();
  /// null: there is none.
  [[nodiscard]] const Waterfall* find(NetnsId netns, std::uint16_t port) const;

 private:
  struct Place {
    std::uint64_t sample = 0;  ///< number of the last sample whose Snapshot has it
    std::uint32_t index = 0;   ///< there
  };

  [[nodiscard]] bool is_carried(const Place& place) const;
  std::uint32_t enter(NetnsId netns, std::uint16_t port);
  void see_nics();
  void see_nic_port(NetnsId netns, const NicPort& now, const NicPort* before);
  void settle(Waterfall& waterfall, bool starts) const;

  std::uint64_t samples_ = 0;
  bool active_ = false;  ///< there is something to keep in this sample
  Snapshot* snapshot_ = nullptr;
  const Snapshot* previous_ = nullptr;
  std::unordered_map<std::uint64_t, Place> places_;  ///< by namespace and port
  std::vector<std::uint32_t> of_rows_;               ///< index in the Snapshot, by row
  std::vector<bool> starts_;  ///< by index in the Snapshot: from this sample on, what was is void
};

}  // namespace listenq
