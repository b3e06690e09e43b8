// SPDX-License-Identifier: Apache-2.0
//
// See exposition.h.
#include "export/exposition.h"

#include <algorithm>
#include <array>
#include <variant>

#include "export/families.h"
#include "export/labels.h"
#include "export/rest.h"

namespace listenq {
namespace {

/// Of the 32 buckets that double from 1 us, those that are told: 64 us, and each four times the one
/// before, to 67 s. They hold exactly what the finer ones below them hold together.
constexpr std::size_t kFirstBucket = 6;
constexpr std::size_t kBucketStep = 2;
constexpr std::size_t kBuckets = 11;

/// Absent counts as nothing to say.
std::optional<double> number_of(const Value& value) {
  if (const auto* whole = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return std::nullopt;
}

void append_number(std::string& out, double value) {
  constexpr double kExact = 1e15;
  if (value >= 0 && value < kExact &&
      value == static_cast<double>(static_cast<std::uint64_t>(value))) {
    append_value(out, static_cast<std::uint64_t>(value));
  } else {
    append_value(out, value);
  }
}

const std::array<std::string, kBuckets + 1>& bucket_labels() {
  static const auto labels = [] {
    std::array<std::string, kBuckets + 1> made;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      made.at(i) = R"(,le=")";
      append_value(made.at(i), Histogram::bound(kFirstBucket + i * kBucketStep));
      made.at(i) += '"';
    }
    made.back() = R"(,le="+Inf")";
    return made;
  }();
  return labels;
}

bool is_counted(const Counting& counting, const MetricPart& part) {
  return std::all_of(part.counters.begin(), part.counters.end(),
                     [&](Counter counter) { return counting.counts(counter); });
}

}  // namespace

/// Writes the lines of one family for one series.
class Exposition::Lines {
 public:
  Lines(const Exposition& page, const MetricFamily& family, std::string& out)
      : page_(page), family_(family), out_(out) {}

  void write(std::size_t index) {
    index_ = index;
    switch (family_.type) {
      case MetricType::counter:
        for (const MetricPart& part : family_.parts) write_counter(part);
        break;
      case MetricType::gauge:
        write_gauge();
        break;
      case MetricType::histogram:
        write_histogram();
        break;
      case MetricType::info:
        write_info();
        break;
    }
  }

 private:
  [[nodiscard]] const Entry& entry() const { return page_.entries_[index_]; }
  [[nodiscard]] const ListenerCounts* gone() const {
    return entry().gone == kNothingGone ? nullptr : &page_.gone_[entry().gone];
  }

  template <class Visit>
  void each_row(Visit visit) const {
    for (std::uint32_t row = entry().first_row; row != Series::kNoRow;
         row = page_.next_rows_[row]) {
      visit(page_.snapshot_->listeners[row]);
    }
  }

  /// `ending` of the name; `label` follows the others, with its comma.
  template <class T>
  void line(std::string_view ending, std::string_view label, T value) {
    out_ += family_.name;
    out_ += ending;
    out_ += '{';
    out_ += page_.labels(index_);
    out_ += label;
    out_ += "} ";
    if constexpr (std::is_same_v<T, double>) {
      append_number(out_, value);
    } else {
      append_value(out_, value);
    }
    out_ += '\n';
  }

  void write_counter(const MetricPart& part) {
    std::uint64_t sum = 0;
    if (part.counters.empty()) {
      // The socket's own counter: of those that have one.
      bool known = false;
      each_row([&](const ListenerRow& row) {
        if (!row.raw->sk_drops) return;
        known = true;
        sum += *row.raw->sk_drops;
      });
      if (!known) return;
      sum += entry().gone_sk_drops;
    } else {
      const auto& counting = page_.snapshot_->sample->counting;
      if (!counting || !is_counted(*counting, part)) return;
      const auto add = [&](const ListenerCounts* counts) {
        if (counts == nullptr) return;
        for (const Counter counter : part.counters) sum += (*counts)[counter];
      };
      add(gone());
      each_row([&](const ListenerRow& row) { add(row.counts); });
    }
    if (part.label.empty()) return line("", "", sum);
    label_ = ',';
    label_ += part.label;
    line("", label_, sum);
  }

  void write_gauge() {
    const Field& field = *family_.parts.front().fields.front();
    bool whole = entry().first_row != Series::kNoRow;
    double value = 0;
    each_row([&](const ListenerRow& row) {
      const auto own = number_of(field.get(row));
      whole = whole && own;
      if (!own) return;
      value = family_.across == Across::sum ? value + *own : std::max(value, *own);
    });
    if (!whole) return;
    if (family_.across == Across::window_max) {
      const bool syn_queue = field.id == "syn_queue_peak";
      const std::uint32_t most = syn_queue ? entry().syn_queue_peak : entry().accept_queue_peak;
      value = std::max(value, static_cast<double>(most));
    }
    line("", "", value);
  }

  void write_histogram() {
    const Field& field = *family_.parts.front().fields.front();
    const bool waits = field.id == "accept_wait";
    Histogram sum;
    bool timed = false;
    const auto add = [&](const Histogram& times) {
      for (std::size_t i = 0; i < times.counts.size(); ++i) sum.counts.at(i) += times.counts.at(i);
      sum.sum_ns += times.sum_ns;
    };
    each_row([&](const ListenerRow& row) {
      const Value value = field.get(row);
      const auto* const times = std::get_if<const Histogram*>(&value);
      if (times == nullptr || *times == nullptr) return;
      timed = true;
      add(**times);
    });
    const ListenerCounts* const before = gone();
    if (before != nullptr) add(waits ? before->accept_wait : before->handshake_time);
    if (!timed && before == nullptr) return;
    const std::uint64_t count = sum.count();
    // One that has never seen a value says so by its counter of accepts; its fourteen lines of
    // zeros would be half of all text.
    if (count == 0) return;
    write_buckets(sum, count);
  }

  void write_buckets(const Histogram& times, std::uint64_t count) {
    std::uint64_t up_to = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      for (; next <= kFirstBucket + i * kBucketStep; ++next) up_to += times.counts.at(next);
      line("_bucket", bucket_labels().at(i), up_to);
    }
    line("_bucket", bucket_labels().back(), count);
    line("_sum", "", static_cast<double>(times.sum_ns) / 1e9);
    line("_count", "", count);
  }

  /// Of a group: of the member whose owner has the lowest pid.
  void write_info() {
    const ListenerRow* chosen = nullptr;
    each_row([&](const ListenerRow& row) {
      const auto pid = [](const ListenerRow& of) {
        return of.pids.empty() ? INT32_MAX : of.pids.front();
      };
      if (chosen == nullptr || pid(row) < pid(*chosen)) chosen = &row;
    });
    if (chosen == nullptr) return;
    label_.clear();
    for (const MetricPart& part : family_.parts) {
      label_ += ',';
      label_ += part.label;
      label_ += "=\"";
      const Value value = part.fields.front()->get(*chosen);
      if (const auto* text = std::get_if<std::string_view>(&value)) {
        append_escaped(label_, *text);
      } else if (const auto* number = std::get_if<std::uint64_t>(&value)) {
        append_value(label_, *number);
      }
      label_ += '"';
    }
    line("", label_, std::uint64_t{1});
  }

  const Exposition& page_;
  const MetricFamily& family_;
  std::string& out_;
  std::string label_;
  std::size_t index_ = 0;
};

Exposition::Exposition(Ledger& ledger, const Selection& selection, const ExporterFacts& facts)
    : snapshot_(ledger.snapshot()) {
  Told told;
  if (snapshot_ && !facts.sample_failed) {
    told = ledger.tell(selection);
    next_rows_ = ledger.next_rows();
    entries_.reserve(told.series.size());
    for (const Series* series : told.series) add(*series, snapshot_->sample->monotonic_ns);
  }
  write_rest(rest_, ledger, facts, told, false);
  write_rest(rest_openmetrics_, ledger, facts, told, true);
  rest_openmetrics_ += "# EOF\n";
}

void Exposition::add(const Series& series, std::uint64_t now_ns) {
  Entry& entry = entries_.emplace_back();
  entry.labels = labels_.size();
  labels_ += series.labels;
  entry.first_row = series.first_row;
  if (series.gone) {
    entry.gone = static_cast<std::uint32_t>(gone_.size());
    gone_.push_back(*series.gone);
  }
  entry.gone_sk_drops = series.gone_sk_drops;
  entry.accept_queue_peak = series.accept_queue_peak.get(now_ns);
  entry.syn_queue_peak = series.syn_queue_peak.get(now_ns);
}

std::string_view Exposition::labels(std::size_t entry) const {
  const std::size_t begin = entries_[entry].labels;
  const std::size_t end = entry + 1 < entries_.size() ? entries_[entry + 1].labels : labels_.size();
  return std::string_view(labels_).substr(begin, end - begin);
}

bool Exposition::write(Cursor& cursor, ExpositionFormat format, std::string& out,
                       std::size_t size) const {
  if (cursor.ended) return false;
  const bool openmetrics = format == ExpositionFormat::openmetrics;
  const auto families = metric_families();
  const std::size_t enough = out.size() + size;
  for (; cursor.family < families.size(); ++cursor.family, cursor.series = 0) {
    const MetricFamily& family = families[cursor.family];
    Lines lines(*this, family, out);
    for (; cursor.series < entries_.size(); ++cursor.series) {
      if (out.size() >= enough) return true;
      const std::size_t before = out.size();
      lines.write(cursor.series);
      // A family without a line has no head either; so this comes with its first.
      if (cursor.headed || out.size() == before) continue;
      out.insert(before, family_head(family.name, family.type, family.help, openmetrics));
      cursor.headed = true;
    }
    cursor.headed = false;
  }
  out += openmetrics ? rest_openmetrics_ : rest_;
  cursor.ended = true;
  return true;
}

}  // namespace listenq
