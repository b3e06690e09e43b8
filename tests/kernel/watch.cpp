// SPDX-License-Identifier: Apache-2.0
// The tool while it watches: see watch.h.
#include "watch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>

namespace lqtest {
namespace {

// Three of these watch through a whole run, in guests with little memory.
constexpr size_t kLinesKept = 200;
constexpr size_t kBytesKept = 32UL * 1024 * 1024;

std::chrono::milliseconds patience() {
  return is_emulated() ? std::chrono::seconds(120) : std::chrono::seconds(60);
}

// As the tool writes the time of a document.
std::string now_text() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     now.tv_nsec / 1'000'000);
}

// What must hold still: counters and queues of the listeners, open and closed, both sides of the
// namespaces' sums, and what was seen at interfaces.
Json essence(const Json& document, const std::set<uint64_t>& netns) {
  Json result = Json::array();
  const auto add_row = [&](const Json& row) {
    Json part = {row.value("cookie", Json()), row.value("netns", Json()),
                 row.value("accept_queue_len", Json()), row.value("syn_queue_len", Json())};
    for (const std::string& name : counter_names()) part.push_back(row.value(name, Json()));
    result.push_back(std::move(part));
  };
  for (const uint64_t inode : netns) {
    for (const Json& row : rows_of(document, inode)) add_row(row);
    for (const Json& row : closed_of(document, inode)) add_row(row);
    const Json space = namespace_of(document, inode);
    if (space.is_null()) continue;
    const Json counted = space.value("counted_since_start", Json());
    const Json mib = space.value("mib_since_start", Json());
    for (const Json& nic : document.value("nics", Json::array()))
      if (nic.value("netns", Json()) == inode) result.push_back(nic);
    result.push_back(counted);
    if (!counted.is_object()) continue;
    for (const auto& item : counted.items()) result.push_back(mib.value(item.key(), Json()));
  }
  return result;
}

}  // namespace

std::vector<std::string> counting_backends() {
  const char* given = std::getenv("LISTENQ_BACKENDS");
  if (given == nullptr) return {"fentry", "kprobe", "portable"};
  std::string text = given;
  std::replace(text.begin(), text.end(), ',', ' ');
  return split_words(text);
}

bool is_emulated() {
  return std::getenv("LISTENQ_VM") != nullptr;
}

bool must_have(const std::string& backend) {
  if (backend == "portable") return kernel_knows("btf_trace_sk_data_ready");
  return is_emulated();
}

std::string not_whole(const std::string& backend) {
  if (backend != "portable" || kernel_knows("btf_trace_sk_data_ready")) return "";
  return "this kernel has no tracepoint sock:sk_data_ready, so portable is not whole here";
}

double watch_interval() {
  return is_emulated() ? 0.4 : 0.2;
}

Watch::Watch(const std::string& backend, double interval, const std::vector<std::string>& more)
    : backend_(backend) {
  std::vector<std::string> argv{
      tool_path(), "-b",   "--json", "--netns", "all", "-d", fmt::format("{}", interval),
      "--backend", backend};
  argv.insert(argv.end(), more.begin(), more.end());
  RunOptions options;
  options.limit = std::chrono::hours(1);
  options.forget_lines = true;
  program_ = std::make_unique<Program>(argv, options);
  pid_ = program_->pid();
  reader_ = std::thread([this] { read_all(); });
  if (line_after(0)) return;
  const RunResult result = stop(SIGKILL);
  status_ = result.status;
  refusal_ = fmt::format("exit status {}: {}", result.status, trim(result.err));
}

Watch::~Watch() {
  if (program_) stop(SIGTERM);
}

void Watch::read_all() {
  while (auto line = program_->read_line()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    bytes_kept_ += line->size();
    lines_.push_back(std::move(*line));
    ++arrived_count_;
    while (lines_.size() > kLinesKept || (lines_.size() > 1 && bytes_kept_ > kBytesKept)) {
      bytes_kept_ -= lines_.front().size();
      lines_.pop_front();
    }
    arrived_.notify_all();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  arrived_.notify_all();
}

// The oldest that is kept of those after the first `number`.
std::optional<std::string> Watch::line_after(uint64_t number) {
  std::unique_lock<std::mutex> lock(mutex_);
  arrived_.wait_for(lock, patience(), [&] { return ended_ || arrived_count_ > number; });
  if (arrived_count_ <= number) return std::nullopt;
  const uint64_t first = arrived_count_ - lines_.size();
  return lines_[number > first ? number - first : 0];
}

bool Watch::running() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return refusal_.empty() && !ended_;
}

uint64_t Watch::count() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return arrived_count_;
}

Json Watch::next() {
  const auto line = line_after(count());
  return line ? Json::parse(*line, nullptr, false) : Json();
}

void Watch::each_since(uint64_t mark, const std::function<void(const Json&)>& take) {
  const uint64_t end = count();
  while (mark < end) {
    std::string line;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const uint64_t first = arrived_count_ - lines_.size();
      mark = std::max(mark, first);
      line = lines_[mark - first];
    }
    take(Json::parse(line, nullptr, false));
    ++mark;
  }
}

Watch::Moment Watch::moment() {
  std::string time = now_text();
  return {std::move(time), count()};
}

Json Watch::settled(const std::set<uint64_t>& netns, const Moment& since) {
  const auto deadline = std::chrono::steady_clock::now() + patience();
  bool passed_over = false;  // the first may have begun before its time
  Json last;
  for (uint64_t number = since.count; std::chrono::steady_clock::now() < deadline; ++number) {
    const auto line = line_after(number);
    if (!line) return nullptr;
    Json document = Json::parse(*line, nullptr, false);
    if (document.is_discarded()) return nullptr;
    if (document.value("time", "") <= since.time) continue;
    if (!passed_over) {
      passed_over = true;
      continue;
    }
    if (!last.is_null() && essence(document, netns) == essence(last, netns)) return last;
    last = std::move(document);
  }
  ADD_FAILURE() << "the tool's documents never held still";
  return last;
}

RunResult Watch::stop(int signal) {
  program_->send_signal(signal);
  if (reader_.joinable()) reader_.join();
  RunResult result = program_->finish();
  program_.reset();
  return result;
}

const std::vector<std::string>& counter_names() {
  static const std::vector<std::string> names{"syns",
                                              "synacks",
                                              "synack_retransmits",
                                              "handshake_acks",
                                              "accepts",
                                              "overflows_syn",
                                              "overflows_ack",
                                              "drops",
                                              "drops_syn_queue_full",
                                              "drops_no_memory",
                                              "drops_no_route",
                                              "drops_max_syn_backlog",
                                              "drops_defer_accept",
                                              "drops_other",
                                              "cookies_sent",
                                              "cookies_valid",
                                              "cookies_invalid",
                                              "requests_expired",
                                              "fastopen_overflows",
                                              "closed_unaccepted",
                                              "aborted_in_queue"};
  return names;
}

std::optional<uint64_t> counter(const Json& row, const std::string& name) {
  const Json value = row.value(name, Json());
  if (!value.is_number()) return std::nullopt;
  return value.get<uint64_t>();
}

bool may_be_absent(const std::string& backend, const std::string& name) {
  if (backend != "portable") return false;
  static const std::set<std::string> by_function{"drops_no_memory", "drops_no_route"};
  static const std::set<std::string> by_system_call{"aborted_in_queue", "accept_wait",
                                                    "listen_requested"};
  static const bool calls_are_traced =
      std::filesystem::exists("/sys/kernel/tracing/events/syscalls/sys_exit_accept4");
  return by_function.contains(name) || (!calls_are_traced && by_system_call.contains(name));
}

std::vector<Json> closed_of(const Json& document, uint64_t netns_inode) {
  std::vector<Json> rows;
  if (!document.is_object() || !document.contains("closed")) return rows;
  for (const Json& row : document.at("closed"))
    if (row.value("netns", Json()) == netns_inode) rows.push_back(row);
  return rows;
}

std::optional<Waits> Waits::of(const Json& row, const std::string& name) {
  const Json value = row.value(name, Json());
  if (!value.is_object()) return std::nullopt;
  Waits waits;
  waits.bounds = value.at("bounds").get<std::vector<double>>();
  waits.counts = value.at("counts").get<std::vector<uint64_t>>();
  waits.sum = value.at("sum");
  waits.max = value.at("max");
  if (waits.counts.size() != waits.bounds.size() + 1)
    throw std::runtime_error(name + ": counts are not one more than bounds");
  return waits;
}

uint64_t Waits::count() const {
  uint64_t total = 0;
  for (const uint64_t one : counts) total += one;
  return total;
}

size_t Waits::bucket_of_rank(double share) const {
  const double rank = share * static_cast<double>(count());
  double seen = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    seen += static_cast<double>(counts[i]);
    if (counts[i] != 0 && seen >= rank) return i;
  }
  return counts.size() - 1;
}

size_t Waits::bucket_of(double seconds) const {
  const auto at = std::lower_bound(bounds.begin(), bounds.end(), seconds);
  return static_cast<size_t>(at - bounds.begin());
}

}  // namespace lqtest
