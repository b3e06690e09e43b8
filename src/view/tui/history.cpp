// SPDX-License-Identifier: Apache-2.0
//
// See history.h.
#include "view/tui/history.h"

#include <algorithm>

namespace listenq::tui {

namespace {

/// A deque's first chunk is 512 bytes whatever it holds, which the bound must not forget.
constexpr std::size_t kPointsOfANewSeries = 32;

History::Point point_of(const ListenerRow& row) {
  const RawListener& raw = *row.raw;
  History::Point point;
  point.accept_queue = std::max(raw.accept_queue_len, row.accept_queue_peak.value_or(0));
  point.syn_queue = std::max(raw.syn_queue_len.value_or(0), row.syn_queue_peak.value_or(0));
  point.losses_per_second = static_cast<float>(losses_per_second(row).value_or(0));
  return point;
}

bool is_nothing(const History::Point& point) {
  return point.accept_queue == 0 && point.syn_queue == 0 && point.losses_per_second <= 0;
}

}  // namespace

ListenerId id_of(const RawListener& raw) {
  return {number(raw.netns), raw.cookie ? number(*raw.cookie) : raw.inode, raw.address, raw.port};
}

std::size_t ListenerIdHash::operator()(const ListenerId& id) const {
  // Cookies and inodes count up; the namespace tells equal ones apart.
  return std::hash<std::uint64_t>()(id.socket ^ (std::uint64_t{id.netns} << 32U));
}

void History::add(const Snapshot& snapshot) {
  ++samples_;
  times_.push_back(snapshot.sample->monotonic_ns);
  if (times_.size() > kSamples) times_.pop_front();
  for (const ListenerRow& row : snapshot.listeners) {
    Point point = point_of(row);
    if (is_nothing(point)) continue;
    point.sample = samples_;
    const ListenerId id = id_of(*row.raw);
    auto found = series_.find(id);
    if (found == series_.end()) {
      // The last quarter is kept for those in trouble.
      const std::size_t room = Snapshot::in_trouble(row) ? kMostPoints : kMostPoints / 4 * 3;
      if (points_ + kPointsOfANewSeries > room) continue;
      found = series_.try_emplace(id).first;
    } else if (points_ >= kMostPoints) {
      continue;
    }
    found->second.push_back(point);
    ++points_;
  }
  const std::uint32_t oldest = samples_ - static_cast<std::uint32_t>(times_.size()) + 1;
  for (auto each = series_.begin(); each != series_.end();) {
    std::deque<Point>& points = each->second;
    while (!points.empty() && points.front().sample < oldest) {
      points.pop_front();
      --points_;
    }
    each = points.empty() ? series_.erase(each) : std::next(each);
  }
}

void History::clear() {
  *this = {};
}

History::Series History::series(const ListenerRow& row, std::uint64_t end_ns) const {
  Series out;
  const auto found = series_.find(id_of(*row.raw));
  const std::deque<Point>* points = found == series_.end() ? nullptr : &found->second;
  out.no_place = points == nullptr && !is_nothing(point_of(row));
  if (out.no_place) return out;
  std::uint64_t begin_ns = 0;
  if (row.state_age_seconds) {
    constexpr double kRounding = 0.001;
    const auto age = static_cast<std::uint64_t>((*row.state_age_seconds + kRounding) * 1e9);
    begin_ns = age < end_ns ? end_ns - age : 0;
  }
  std::uint32_t sample = samples_ - static_cast<std::uint32_t>(times_.size());
  std::size_t next = 0;
  for (const std::uint64_t time : times_) {
    ++sample;
    if (time > end_ns) break;
    while (points != nullptr && next < points->size() && (*points)[next].sample < sample) ++next;
    if (time < begin_ns) continue;
    Sampled each{time, {}};
    if (points != nullptr && next < points->size() && (*points)[next].sample == sample) {
      each.point = (*points)[next];
    }
    each.point.sample = sample;
    out.samples.push_back(each);
  }
  return out;
}

}  // namespace listenq::tui
