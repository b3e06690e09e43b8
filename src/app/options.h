// SPDX-License-Identifier: Apache-2.0
//
// The command line, parsed and checked: after this every name in it is known to exist.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collect/collector.h"
#include "export/ledger.h"
#include "model/fields.h"
#include "model/filter.h"
#include "util/result.h"

namespace listenq {

enum class Command : std::uint8_t { watch, record, replay, serve, list_fields, explain };
enum class Mode : std::uint8_t { screen, once, batch };
enum class Format : std::uint8_t { text, json, csv };

inline constexpr std::string_view kDefaultListenAddress = "127.0.0.1:9815";

/// Of `serve`.
struct ServeOptions {
  std::vector<std::string> addresses;  ///< empty: those of systemd, else the default
  std::string telemetry_path = "/metrics";
  std::string config_file;  ///< empty: none
  bool reuseport_members = false;
  bool program_times = false;
  Selection selection;
};

struct Options {
  Command command = Command::watch;
  Mode mode = Mode::screen;
  Format format = Format::text;
  std::string file;                   ///< of record and replay
  std::vector<const Field*> columns;  ///< empty: the view's own choice
  SortKey sort;
  std::string filter_text;
  Filter filter;
  ProbeOptions probe;
  CollectOptions collect;
  double delay_seconds = 1;
  bool delay_given = false;
  std::optional<std::uint64_t> count;  ///< samples, then the end
  bool ascii = false;
  ServeOptions serve;
  bool markdown = false;  ///< of --list-fields
};

/// What parsing ended in: options, or a text to print and the exit code that goes with it.
struct Parsed {
  std::optional<Options> options;
  std::string text;
  int exit_code = 0;  ///< 0: text goes to stdout; else to stderr
};

[[nodiscard]] Parsed parse_options(int argc, const char* const* argv, bool stdout_is_terminal);

}  // namespace listenq
