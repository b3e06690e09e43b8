// SPDX-License-Identifier: Apache-2.0
//
// What Prometheus is told must hold together over time: a counter of the same address and port goes
// on when its server is restarted, a reuseport group is one series however its members come and go,
// and a peak is not lost between two scrapes. The Ledger sees every Snapshot, once each, and keeps
// what the Snapshot alone can't tell. Exposition reads it. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "model/filter.h"
#include "model/snapshot.h"

namespace listenq {

/// The most of the last minute: 60 to 70 seconds, the same for whoever asks.
class WindowMax {
 public:
  static constexpr std::uint64_t kWindowNs = 60'000'000'000;

  void add(std::uint64_t now_ns, std::uint32_t value);
  [[nodiscard]] std::uint32_t get(std::uint64_t now_ns) const;

 private:
  static constexpr std::size_t kSlots = 7;
  static constexpr std::uint64_t kSlotNs = kWindowNs / (kSlots - 1);

  std::array<std::uint32_t, kSlots> most_{};
  std::uint64_t slot_ = 0;  ///< of the newest value, counted from the clock's start
};

/// One netns, address and port (with members: one socket). Ends some time after its last listener.
struct Series {
  static constexpr std::uint32_t kNoRow = UINT32_MAX;

  std::string labels;                ///< netns="...",address="...",port="..."
  std::uint32_t first_row = kNoRow;  ///< in the newest Snapshot; kNoRow: nobody listens
  /// What members had that are no more; null: nothing was ever counted of them.
  std::unique_ptr<ListenerCounts> gone;
  std::uint64_t gone_sk_drops = 0;
  WindowMax accept_queue_peak;
  WindowMax syn_queue_peak;
  std::optional<std::uint64_t> lost_ns;   ///< monotonic: the last sample that saw a loss
  std::optional<std::uint64_t> ended_ns;  ///< monotonic: since when nobody listens
  bool left_by_filter = false;            ///< when it was last asked, and somebody listened
};

/// Which series are told.
struct Selection {
  std::vector<Filter> include;  ///< any of them must match a listener of it; empty: all do
  std::vector<Filter> exclude;  ///< none of them may match one
  std::size_t max_listeners =
      0;  ///< 0: no bound. Who lost something goes first, then who came first
};

struct Told {
  std::vector<const Series*> series;  ///< valid until the next update()
  std::size_t left_by_filter = 0;
  std::size_t left_by_bound = 0;
};

class Ledger {
 public:
  struct Options {
    bool members = false;  ///< each member of a reuseport group is a series of its own
  };

  explicit Ledger(Options options) : options_(options) {}

  /// Snapshots of one Deriver, each once, in their order.
  void update(std::shared_ptr<const Snapshot> snapshot);

  /// The newest; null before the first.
  [[nodiscard]] const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }

  /// Those with listeners, and for a minute those that lost something in their last: else nobody
  /// would be told what a closing listener threw away. In the order of their coming.
  [[nodiscard]] Told tell(const Selection& selection);

  /// Next row of the same series in the newest Snapshot; Series::kNoRow: that was the last.
  [[nodiscard]] const std::vector<std::uint32_t>& next_rows() const { return next_rows_; }

  /// What an interface saw, over all ports that ever had a listener while it was watched.
  struct NicTotals {
    std::uint64_t syn_in = 0;
    std::uint64_t synack_out = 0;
    std::uint64_t ack_in = 0;
    std::uint64_t rst_in = 0;
  };
  /// By namespace and name.
  [[nodiscard]] const std::map<std::pair<std::uint32_t, std::string>, NicTotals>& nics() const {
    return nics_;
  }

 private:
  struct Id {
    std::uint64_t number = 0;  ///< cookie, else inode
    std::uint32_t netns = 0;
    std::uint16_t port = 0;
    bool operator==(const Id&) const = default;
  };
  struct IdHash {
    std::size_t operator()(const Id& id) const;
  };
  /// A listener that is in the newest Snapshot, or was in one just before.
  struct Member {
    Series* series = nullptr;
    std::uint64_t seen = 0;  ///< number of the last update that held it
    std::uint32_t row = 0;   ///< in its Snapshot
    bool closed = false;     ///< in that Snapshot, and closed since: its counts are among the gone
    /// Added to the gone when it was missed without a word of its end; null: it was not.
    std::unique_ptr<ListenerCounts> missed;
    std::uint32_t missed_sk_drops = 0;
  };
  using Members = std::unordered_map<Id, Member, IdHash>;

  static Id id_of(const RawListener& raw);
  [[nodiscard]] std::string labels_of(const RawListener& raw) const;
  [[nodiscard]] Series& series_of(const RawListener& raw);
  [[nodiscard]] bool is_left(const Series& series, const Selection& selection) const;
  [[nodiscard]] bool has_lost_late(const Series& series) const;
  void place_rows();
  void place(const ListenerRow& row, std::uint32_t index, Member& member);
  void come_back(Member& member);
  void close(const RawClosed& closed, const Snapshot* before);
  void miss(Member& member, const Snapshot& before);
  void settle_missing(const Snapshot* before);
  void end_or_forget(Series& series);
  void forget_old();
  void add_nics(const Sample& sample);
  void add_gone(Series& series, const ListenerCounts& counts, int sign);

  Options options_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::uint64_t updates_ = 0;
  std::uint64_t now_ns_ = 0;                                 ///< monotonic, of the newest
  std::vector<std::unique_ptr<Series>> series_;              ///< in the order of their coming
  std::unordered_map<std::string_view, Series*> by_labels_;  ///< the labels are the series' own
  Members members_;
  std::vector<Members::value_type*> rows_;  ///< of the newest Snapshot
  std::vector<std::uint32_t> next_rows_;
  std::vector<Series*> left_;  ///< by a member, in this update
  /// Series without listeners that may come again, by when they ended.
  std::deque<std::pair<std::uint64_t, Series*>> ended_;
  using NicPortKey = std::tuple<std::uint32_t, std::uint32_t, std::uint16_t>;  ///< netns, if, port
  std::map<NicPortKey, NicTotals> nic_ports_;  ///< as the newest Snapshot has them
  std::map<std::pair<std::uint32_t, std::string>, NicTotals> nics_;
};

}  // namespace listenq
