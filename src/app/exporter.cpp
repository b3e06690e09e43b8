// SPDX-License-Identifier: Apache-2.0
//
// See exporter.h.
#include "app/exporter.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <string_view>
#include <utility>

#include "export/accept.h"
#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

constexpr std::size_t kPiece = std::size_t{64} * 1024;

class ExpositionReader final : public web::Reader {
 public:
  ExpositionReader(std::shared_ptr<const Exposition> page, ExpositionFormat format)
      : page_(std::move(page)), format_(format) {}

  bool read(std::string& out) override { return page_->write(cursor_, format_, out, kPiece); }

 private:
  std::shared_ptr<const Exposition> page_;
  ExpositionFormat format_;
  Exposition::Cursor cursor_;
};

class ExpositionDocument final : public web::Document {
 public:
  ExpositionDocument(std::shared_ptr<const Exposition> page, ExpositionFormat format)
      : Document(std::string(listenq::content_type(format))),
        page_(std::move(page)),
        format_(format) {}

  [[nodiscard]] std::unique_ptr<web::Reader> open() const override {
    return std::make_unique<ExpositionReader>(page_, format_);
  }

 private:
  std::shared_ptr<const Exposition> page_;
  ExpositionFormat format_;
};

web::Response text_response(unsigned status, std::string text) {
  return {status,
          std::make_shared<web::TextDocument>("text/plain; charset=utf-8", std::move(text))};
}

/// `text` as HTML; the path is the user's own, but anything may be in it.
std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

web::Response landing_page(const std::string& telemetry_path) {
  return {200, std::make_shared<web::TextDocument>(
                   "text/html; charset=utf-8",
                   fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                               "<title>listenq-top</title></head><body>\n"
                               "<h1>listenq-top</h1>\n"
                               "<p>Both queues of every TCP listener, their limits, losses and "
                               "owners. Version {}.</p>\n"
                               "<ul>\n<li><a href=\"{}\">Metrics</a></li>\n"
                               "<li><a href=\"/-/healthy\">Healthy</a></li>\n"
                               "<li><a href=\"/-/ready\">Ready</a></li>\n</ul>\n</body></html>\n",
                               LISTENQ_VERSION, html(telemetry_path)))};
}

std::optional<std::uint64_t> open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return std::nullopt;
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.' ? 1U : 0U;
  ::closedir(folder);
  return count - 1;  // the folder's own
}

/// Field `index` of /proc/self/stat, counted from 1 (proc(5)); those after the name.
std::optional<std::int64_t> stat_field(const std::string& stat, std::size_t index) {
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > stat.size()) return std::nullopt;
  const auto fields = split(std::string_view(stat).substr(name_end + 2), ' ');
  constexpr std::size_t kFirst = 3;
  if (index < kFirst || index - kFirst >= fields.size()) return std::nullopt;
  return parse_integer(fields[index - kFirst]);
}

ExporterFacts read_facts(bool sample_failed) {
  ExporterFacts facts{.version = LISTENQ_VERSION, .sample_failed = sample_failed};
  facts.open_fds = open_descriptors();
  timespec cpu{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
    facts.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9;
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.max_fds = limit.rlim_cur;
  constexpr std::size_t kStartTime = 22;
  constexpr std::size_t kResidentPages = 24;
  const auto stat = read_small_file("/proc/self/stat");
  if (!stat) return facts;
  if (const auto pages = stat_field(*stat, kResidentPages)) {
    facts.resident_bytes =
        static_cast<std::uint64_t>(*pages) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  timespec boot{};
  const auto ticks = stat_field(*stat, kStartTime);
  if (ticks && ::clock_gettime(CLOCK_BOOTTIME, &boot) == 0) {
    const double age = static_cast<double>(boot.tv_sec) + static_cast<double>(boot.tv_nsec) / 1e9 -
                       static_cast<double>(*ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    facts.start_time_seconds = static_cast<double>(wall_ns()) / 1e9 - age;
  }
  return facts;
}

}  // namespace

Exporter::Exporter(const ServeOptions& options, double interval_seconds, std::uint64_t (*now_ns)())
    : options_(options),
      longest_silence_ns_(10'000'000'000 + static_cast<std::uint64_t>(3e9 * interval_seconds)),
      now_ns_(now_ns),
      ledger_({.members = options.reuseport_members}) {}

void Exporter::add(std::shared_ptr<const Sample> sample) {
  ledger_.update(deriver_.derive(std::move(sample)));
  sample_failed_ = false;
  forget_page();
}

/// Who reads it keeps it alive; nobody else needs the old Snapshot.
void Exporter::forget_page() {
  page_.reset();
  text_.reset();
  openmetrics_.reset();
}

bool Exporter::ready() const {
  return !sample_failed_ && ledger_.snapshot() &&
         now_ns_() - ledger_.snapshot()->sample->monotonic_ns < longest_silence_ns_;
}

web::Response Exporter::metrics(std::string_view accept) {
  if (!ledger_.snapshot() && !sample_failed_) {
    return text_response(503, "No sample has been taken yet.\n");
  }
  const bool failed = !ready();
  // That of a failure names no listener, and what it says of the process is to be of now.
  if (!page_ || failed || page_is_of_failure_) {
    forget_page();
    page_ = std::make_shared<const Exposition>(ledger_, options_.selection, read_facts(failed));
    page_is_of_failure_ = failed;
  }
  const ExpositionFormat format = wanted_format(accept);
  auto& document = format == ExpositionFormat::text ? text_ : openmetrics_;
  if (!document) document = std::make_shared<const ExpositionDocument>(page_, format);
  return {200, document};
}

web::Response Exporter::answer(const web::Request& request) {
  if (request.path == options_.telemetry_path) return metrics(request.accept);
  if (request.path == "/-/healthy") return text_response(200, "listenq-top is healthy.\n");
  if (request.path == "/-/ready") {
    return ready() ? text_response(200, "listenq-top is ready.\n")
                   : text_response(503, "listenq-top has no fresh sample.\n");
  }
  if (request.path == "/") return landing_page(options_.telemetry_path);
  return text_response(404, "There is no such page.\n");
}

}  // namespace listenq
