// SPDX-License-Identifier: Apache-2.0
//
// See event_counter.h.
#include "probe/event_counter.h"

#include <linux/types.h>

#include <algorithm>
#include <array>
#include <utility>

#include "probe/counting_programs.h"
#include "probe/listener_record.h"

namespace listenq {
namespace {

// The two orders are one.
static_assert(static_cast<int>(Counter::syns) == LISTENQ_SYNS);
static_assert(static_cast<int>(Counter::accepts) == LISTENQ_ACCEPTS);
static_assert(static_cast<int>(Counter::drops) == LISTENQ_DROPS);
static_assert(static_cast<int>(Counter::drops_other) == LISTENQ_DROPS_OTHER);
static_assert(static_cast<int>(Counter::cookies_invalid) == LISTENQ_COOKIES_INVALID);
static_assert(static_cast<int>(Counter::aborted_in_queue) == LISTENQ_ABORTED_IN_QUEUE);
static_assert(kCounters == LISTENQ_QUEUED);
static_assert(Histogram::kBuckets == LISTENQ_BUCKETS);

constexpr std::array<const char*, LISTENQ_LOST_CAUSES> kCauses = {
    "listener_table_full", "namespace_table_full", "closed_listeners", "unsettled_losses"};

/// An entry that a pass over the table missed (it may, when its neighbours leave) is kept so long.
constexpr std::uint64_t kSamplesKept = 3;

std::uint32_t peak_in(const __u64 (&peaks)[2], std::uint32_t epoch) {
  const __u64 peak = peaks[epoch & 1U];
  return (peak >> 32U) == epoch ? static_cast<std::uint32_t>(peak) : 0;
}

Histogram convert_histogram(const listenq_histogram& from) {
  Histogram to;
  std::copy(std::begin(from.buckets), std::end(from.buckets), to.counts.begin());
  to.sum_ns = from.sum_ns;
  to.max_ns = from.max_ns;
  return to;
}

void add_values(ListenerCounts& to, const ListenerCounts& from) {
  for (std::size_t i = 0; i < kCounters; ++i) to.values[i] += from.values[i];
}

}  // namespace

EventCounter::EventCounter(std::unique_ptr<CountingPrograms> programs, const Plan& plan)
    : programs_(std::move(programs)), counting_(plan.counting.value_or(Counting{})) {}

EventCounter::~EventCounter() = default;

/// What entered the queue and is there no longer was accepted. The returns of accept() that the
/// hooks saw are fewer: a call that slept when the hook came has no trampoline on its way back, and
/// a system call may have come through io_uring. (They are more where tcp_migrate_req brought
/// connections over from a listener that closed.) This takes the length of the queue when counting
/// began: 0 for a listener that was born since, what the first sample saw for one that had no event
/// before it, and else so that it begins at 0.
std::int64_t EventCounter::queued_before(const listenq_counts& counts, std::uint64_t cookie,
                                         std::uint32_t in_queue) const {
  if ((counts.flags & LISTENQ_FROM_BIRTH) != 0) return 0;
  if (samples_ > 1 && counts.since_ns > first_sample_ns_) {
    const auto first = first_queues_.find(cookie);
    return first == first_queues_.end() ? 0 : first->second;
  }
  return std::int64_t{in_queue} - static_cast<std::int64_t>(counts.values[LISTENQ_QUEUED]);
}

ListenerCounts EventCounter::convert(const listenq_counts& counts, std::int64_t queued_before,
                                     std::uint32_t in_queue) const {
  ListenerCounts to;
  std::copy_n(std::begin(counts.values), kCounters, to.values.begin());
  to.accept_wait = convert_histogram(counts.accept_wait);
  to.handshake_time = convert_histogram(counts.handshake_time);
  // The length is raised before the event is counted, so for a moment one is missing.
  const std::int64_t left = queued_before +
                            static_cast<std::int64_t>(counts.values[LISTENQ_QUEUED]) -
                            std::int64_t{in_queue};
  to[Counter::accepts] =
      std::max(counts.values[LISTENQ_ACCEPTS], static_cast<__u64>(std::max<std::int64_t>(left, 0)));
  return to;
}

void EventCounter::take(const listenq_counted& head, const listenq_counts& counts,
                        std::uint32_t epoch) {
  const auto [entry, is_new] = lives_.try_emplace(Identity{counts.since_ns, head.netns});
  Life& life = entry->second;
  if (is_new) life.queued_before = queued_before(counts, head.cookie, head.accept_queue_len);
  const std::uint64_t accepts = life.counts[Counter::accepts];
  life.counts = convert(counts, life.queued_before, head.accept_queue_len);
  life.counts[Counter::accepts] = std::max(accepts, life.counts[Counter::accepts]);
  life.counts.accept_queue_peak = peak_in(counts.accept_queue_peak, epoch);
  life.counts.syn_queue_peak = peak_in(counts.syn_queue_peak, epoch);
  life.cookie = head.cookie;
  if ((counts.flags & LISTENQ_LISTEN_SEEN) != 0) life.listen_requested = counts.listen_requested;
  life.sample = samples_;
}

void EventCounter::read_lives(std::uint32_t epoch) {
  entries_ = 0;
  const std::string error =
      programs_->read_counts([&](const listenq_counted& head, const listenq_counts& counts) {
        ++entries_;
        take(head, counts, epoch);
      });
  if (!error.empty()) ++read_errors_;
}

void EventCounter::take_closed(const listenq_closed_record& record, Sample& sample,
                               bool all_namespaces, const Backend::Enter& enter) {
  const auto netns = static_cast<NetnsId>(record.listener.netns);
  const std::uint64_t cookie =
      (record.listener.has & LISTENQ_HAS_COOKIE) != 0 ? record.listener.cookie : 0;
  const std::uint32_t in_queue = record.listener.accept_queue_len;
  const auto life = lives_.find(Identity{record.counts.since_ns, record.listener.netns});
  const bool known = life != lives_.end();
  ListenerCounts counts =
      convert(record.counts,
              known ? life->second.queued_before : queued_before(record.counts, cookie, in_queue),
              in_queue);
  std::string last_interface;
  if (known) {
    last_interface = std::move(life->second.interface);
    counts[Counter::accepts] =
        std::max(counts[Counter::accepts], life->second.counts[Counter::accepts]);
    lives_.erase(life);
  }
  add_values(closed_[record.listener.netns], counts);
  if (cookie != 0) first_queues_.erase(cookie);

  const auto listed = [&](const RawNamespace& raw) { return raw.netns == netns; };
  if (!all_namespaces && std::none_of(sample.namespaces.begin(), sample.namespaces.end(), listed)) {
    return;
  }
  RawClosed& closed = sample.closed.emplace_back();
  // A device has its number and its name in the listener's namespace alone, which may be gone too.
  const bool entered = record.listener.ifindex != 0 && enter(netns);
  closed.listener = make_listener(record.listener, netns,
                                  entered ? DeviceNames::of_thread : DeviceNames::unknown);
  if (!entered && !last_interface.empty()) closed.listener.interface = std::move(last_interface);
  closed.listener.counts = static_cast<std::uint32_t>(sample.counts.size());
  if ((record.counts.flags & LISTENQ_LISTEN_SEEN) != 0) {
    closed.listener.listen_requested = record.counts.listen_requested;
  }
  closed.monotonic_ns = record.closed_ns;
  sample.counts.push_back(counts);
}

void EventCounter::forget_missing() {
  std::erase_if(lives_,
                [&](const auto& entry) { return entry.second.sample + kSamplesKept < samples_; });
}

/// Listeners that nothing happened to stay without counts, which means 0.
void EventCounter::join(Sample& sample) {
  std::unordered_map<std::uint64_t, Life*> by_cookie;
  by_cookie.reserve(lives_.size());
  for (auto& [identity, life] : lives_) {
    if (life.cookie == 0) continue;
    // A socket that listens again has two lives for a while: the later one is its own.
    by_cookie[life.cookie] = &life;
  }
  for (RawListener& listener : sample.listeners) {
    if (!listener.cookie) continue;
    const auto found = by_cookie.find(number(*listener.cookie));
    if (found == by_cookie.end()) {
      if (samples_ == 1 && listener.accept_queue_len != 0) {
        first_queues_.emplace(number(*listener.cookie), listener.accept_queue_len);
      }
      continue;
    }
    listener.counts = static_cast<std::uint32_t>(sample.counts.size());
    found->second->interface = listener.interface;
    listener.listen_requested = found->second->listen_requested;
    sample.counts.push_back(found->second->counts);
  }
}

void EventCounter::sum_up(Sample& sample) {
  std::map<std::uint32_t, ListenerCounts> sums = closed_;
  for (const auto& [identity, life] : lives_) add_values(sums[identity.second], life.counts);
  leftovers_ = 0;
  programs_->read_leftover([&](std::uint32_t netns, const listenq_counts& counts) {
    ++leftovers_;
    ListenerCounts rest;
    std::copy_n(std::begin(counts.values), kCounters, rest.values.begin());
    add_values(sums[netns], rest);
  });
  for (RawNamespace& raw : sample.namespaces) {
    const auto sum = sums.find(number(raw.netns));
    if (sum == sums.end()) continue;
    raw.counted = static_cast<std::uint32_t>(sample.counts.size());
    sample.counts.push_back(sum->second);
  }
}

void EventCounter::account(RawSelf& self) const {
  const auto lost = programs_->lost();
  for (std::size_t i = 0; i < kCauses.size(); ++i) self.lost.emplace_back(kCauses[i], lost[i]);
  self.lost.emplace_back("count_read_errors", read_errors_);
  self.lost.emplace_back("missed_runs", programs_->missed_runs());
  const CountingPrograms::Room room = programs_->room();
  self.maps.push_back({"listeners", entries_, room.listeners});
  self.maps.push_back({"namespaces", leftovers_, room.namespaces});
}

void EventCounter::list_programs(std::vector<RawProgram>& programs) const {
  programs_->list_programs(programs);
}

void EventCounter::add_to(Sample& sample, bool all_namespaces, const Backend::Enter& enter) {
  ++samples_;
  if (samples_ == 1) first_sample_ns_ = sample.monotonic_ns;
  programs_->settle();
  // What enters a queue from now on belongs to the next interval.
  const std::uint32_t epoch = programs_->next_epoch();
  read_lives(epoch);
  // After the table: a listener that closed in between is in both, and is then taken out of it.
  programs_->read_closed([&](const listenq_closed_record& record) {
    take_closed(record, sample, all_namespaces, enter);
  });
  forget_missing();
  sample.counting = counting_;
  join(sample);
  sum_up(sample);
  account(sample.self);
}

}  // namespace listenq
