// SPDX-License-Identifier: Apache-2.0
//
// See run.h: one function a mode.
#include "app/run.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "app/event_loop.h"
#include "app/screen_loop.h"
#include "app/serve.h"
#include "app/source.h"
#include "app/wanted.h"
#include "model/derive.h"
#include "record/recorder.h"
#include "util/text.h"
#include "view/csv/csv.h"
#include "view/json/json.h"
#include "view/text/text.h"

namespace listenq {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "listenq-top: %s\n", error.message.c_str());
  return error.kind == ErrorKind::usage ? 2 : 3;
}

void note(const std::string& text) {
  if (!text.empty()) std::fprintf(stderr, "listenq-top: %s\n", text.c_str());
}

Result<void> print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0 &&
      std::ferror(stdout) == 0) {
    return {};
  }
  return failure(ErrorKind::unsupported,
                 fmt::format("can't write to the standard output: {}", errno_text(errno)));
}

std::vector<const ListenerRow*> selected_rows(const Snapshot& snapshot, const Options& options) {
  std::vector<const ListenerRow*> rows;
  rows.reserve(snapshot.listeners.size());
  for (const ListenerRow& row : snapshot.listeners) {
    if (options.filter.matches(row)) rows.push_back(&row);
  }
  sort_rows(rows, options.sort);
  return rows;
}

/// Snapshots on the standard output, one after the other.
class Printer {
 public:
  explicit Printer(const Options& options) : options_(options) {}

  Result<void> print_snapshot(const Snapshot& snapshot) {
    const auto rows = selected_rows(snapshot, options_);
    std::string out;
    switch (options_.format) {
      case Format::json:
        // In pieces: the document of ten thousand listeners is larger than all else in memory.
        write_json(out, snapshot, rows,
                   {.columns = options_.columns, .filter = &options_.filter, .flush = flush_piece});
        break;
      case Format::csv:
        write_csv(out, rows, {.columns = options_.columns, .header = first_});
        break;
      case Format::text:
        write_text(out, snapshot, rows,
                   {.columns = options_.columns, .headline = options_.mode == Mode::batch});
        break;
    }
    first_ = false;
    return print(out);
  }

 private:
  /// What fails here fails again at the end, and is reported there.
  static void flush_piece(std::string& out) {
    std::fwrite(out.data(), 1, out.size(), stdout);
    out.clear();
  }

  const Options& options_;
  bool first_ = true;
};

/// False: the program is to end. What concerns a screen does not concern us.
bool wait_for_tick(EventLoop& loop) {
  for (;;) {
    switch (loop.wait()) {
      case Event::tick:
        return true;
      case Event::stop:
        return false;
      case Event::suspend:
        stop_self();
        break;
      case Event::input:
      case Event::sample:
      case Event::web:
      case Event::reload:
      case Event::resize:
      case Event::resume:
        break;
    }
  }
}

/// One table: of now, or of the end of a recording. One that is damaged on the way is shown up to
/// there, and then the error.
Result<void> run_once(const Options& options, Source& source) {
  Deriver deriver;
  std::shared_ptr<const Snapshot> last;
  Result<void> read;
  do {
    auto sample = source.next();
    if (!sample) read = tl::unexpected<Error>(sample.error());
    if (!sample || !*sample) break;
    last = deriver.derive(std::move(*sample));
  } while (!source.live());
  if (!last) return read;
  auto printed = Printer(options).print_snapshot(*last);
  return read ? printed : read;
}

Result<void> run_batch(const Options& options, Source& source) {
  std::unique_ptr<EventLoop> loop;
  if (source.live()) {
    auto created = EventLoop::create(options.delay_seconds);
    if (!created) return tl::unexpected<Error>(created.error());
    loop = std::move(*created);
  }
  Deriver deriver;
  Printer printer(options);
  for (std::uint64_t done = 0; !options.count || done < *options.count; ++done) {
    // A recording is printed as fast as it is read.
    if (loop && done > 0 && !wait_for_tick(*loop)) break;
    auto sample = source.next();
    if (!sample) return tl::unexpected<Error>(sample.error());
    if (!*sample) break;
    auto printed = printer.print_snapshot(*deriver.derive(std::move(*sample)));
    if (!printed) return printed;
  }
  return {};
}

Result<void> run_record(const Options& options, Source& source) {
  auto recorder = Recorder::create(options.file);
  if (!recorder) return tl::unexpected<Error>(recorder.error());
  auto loop = EventLoop::create(options.delay_seconds);
  if (!loop) return tl::unexpected<Error>(loop.error());
  Deriver deriver;  // for what is to be looked at from near
  Wanted wanted;
  std::uint64_t done = 0;
  while (!options.count || done < *options.count) {
    if (done > 0 && !wait_for_tick(**loop)) break;
    auto sample = source.next();
    if (!sample) return tl::unexpected<Error>(sample.error());
    if (auto appended = recorder->append(**sample); !appended) return appended;
    ++done;
    const auto snapshot = deriver.derive(std::move(*sample));
    Wanted now = wanted_for(*snapshot, nullptr, false, kCloseUpsInRecording);
    if (same(now, wanted)) continue;
    wanted = std::move(now);
    source.want(wanted);
  }
  note(fmt::format("{} sample{} in {}", done, done == 1 ? "" : "s", printable(options.file)));
  return {};
}

Result<void> run_with_source(const Options& options) {
  auto source = open_source(options);
  if (!source) return tl::unexpected<Error>(source.error());
  const bool screen = options.mode == Mode::screen && options.command != Command::record;
  if (!screen) note((*source)->note());
  auto result = options.command == Command::record ? run_record(options, **source)
                : screen                           ? run_screen(options, **source)
                : options.mode == Mode::batch      ? run_batch(options, **source)
                                                   : run_once(options, **source);
  if (result) note((*source)->closing_note());
  return result;
}

Result<void> run_explain(const Options& options) {
  auto probe = open_probe(options.probe);
  if (!probe) return tl::unexpected<Error>(probe.error());
  std::string text = explain(*probe);
  if (options.collect.nic.which != NicOptions::Which::none) {
    // How an interface can be watched is found by attaching to it.
    auto collector = Collector::create(std::move(*probe), options.collect);
    if (!collector) return tl::unexpected<Error>(collector.error());
    const auto sample = (*collector)->sample();
    if (!sample) return tl::unexpected<Error>(sample.error());
    text += explain_nics(**sample, (*collector)->nics_outlive_kill());
  }
  return print(text);
}

Result<void> run_command(const Options& options) {
  switch (options.command) {
    case Command::list_fields:
      return print(options.markdown ? fields_markdown() : fields_text());
    case Command::explain:
      return run_explain(options);
    case Command::serve:
      return run_serve(options);
    default:
      return run_with_source(options);
  }
}

}  // namespace

int run(const Options& options) {
  try {
    const Result<void> result = run_command(options);
    return result ? 0 : report(result.error());
  } catch (const std::exception& error) {
    // Out of memory, or a defect; whatever was open (the terminal, too) was closed on the way here.
    std::fprintf(stderr, "listenq-top: can't go on: %s\n", error.what());
    return 3;
  }
}

}  // namespace listenq
