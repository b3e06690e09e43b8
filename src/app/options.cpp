// SPDX-License-Identifier: Apache-2.0
//
// See options.h. The only file that knows CLI11.
#include "app/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

constexpr double kShortestDelay = 0.05;
constexpr double kLongestDelay = 86'400;

/// As given, before the names in it are looked up.
struct Raw {
  bool once = false;
  bool batch = false;
  bool json = false;
  bool csv = false;
  bool list_fields = false;
  bool explain = false;
  bool ascii = false;
  std::string list_format;  ///< empty: text
  std::string columns;
  std::string sort;
  std::string filter;
  std::string netns = "all";
  std::string nic = "none";
  std::string nic_mode = "auto";
  std::string backend = "auto";
  std::string no_feature;
  std::string file;
  std::vector<std::string> addresses;
  std::string telemetry_path = "/metrics";
  std::string config_file;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::int64_t max_listeners = 10'000;
  bool reuseport_members = false;
  bool program_times = false;
  double delay = 1;
  std::int64_t count = 0;
};

Error usage(std::string message) {
  return {ErrorKind::usage, std::move(message)};
}

/// What the shown fields need decides what is read.
void choose_needs(Options& options) {
  const auto needed = [&](Need need) {
    return std::any_of(options.columns.begin(), options.columns.end(),
                       [&](const Field* field) { return field->need == need; }) ||
           (options.sort.field != nullptr && options.sort.field->need == need) ||
           options.filter.needs(need);
  };
  const bool all =
      options.columns.empty() || options.mode == Mode::screen || options.command == Command::record;
  options.collect.owners = all || needed(Need::owner) || needed(Need::cgroup);
  options.collect.syn_queue = all || needed(Need::syn_queue) || needed(Need::nic);
  options.collect.sk_drops = all || needed(Need::sk_drops);
  // The JSON document has the namespaces beside the listeners.
  options.collect.namespace_files = all || needed(Need::sysctl) || options.format == Format::json;
  options.probe.single_sample = options.command == Command::watch && options.mode == Mode::once;
  // Looking for what others left behind takes longer than a single sample.
  options.collect.clean_up = !options.probe.single_sample;
  options.probe.counting_wanted =
      !options.probe.single_sample && (all || needed(Need::counters) || needed(Need::latency) ||
                                       needed(Need::listen_call) || needed(Need::nic));
  options.probe.bpf_wanted =
      options.collect.owners || options.collect.syn_queue || options.probe.counting_wanted;
}

Result<NicOptions> parse_nic(const Raw& raw) {
  NicOptions nic;
  if (raw.nic_mode == "auto" || raw.nic_mode == "tc") {
    nic.mode = NicMode::tc;
  } else if (raw.nic_mode == "xdp") {
    nic.mode = NicMode::xdp;
  } else if (raw.nic_mode == "xdp-generic") {
    nic.mode = NicMode::xdp_generic;
  } else {
    return tl::unexpected(
        usage(fmt::format("--nic-mode: there is no mode '{}'; choose from auto, "
                          "xdp, xdp-generic, tc",
                          printable(raw.nic_mode))));
  }
  if (raw.nic == "none") return nic;
  if (raw.nic == "auto") {
    nic.which = NicOptions::Which::automatic;
    return nic;
  }
  nic.which = NicOptions::Which::named;
  for (const std::string_view name : split(raw.nic, ',')) {
    if (name.empty()) {
      return tl::unexpected(usage("--nic: give none, auto, or names of interfaces: eth0,eth1"));
    }
    nic.names.emplace_back(name);
  }
  return nic;
}

Result<std::vector<Filter>> parse_filters(const std::vector<std::string>& texts) {
  std::vector<Filter> filters;
  for (const std::string& text : texts) {
    auto filter = Filter::parse(text);
    if (!filter) return tl::unexpected(filter.error());
    filters.push_back(std::move(*filter));
  }
  return filters;
}

Result<ServeOptions> parse_serve(const Raw& raw) {
  ServeOptions serve;
  serve.addresses = raw.addresses;
  serve.telemetry_path = raw.telemetry_path;
  if (serve.telemetry_path.empty() || serve.telemetry_path.front() != '/') {
    return tl::unexpected(usage("--web.telemetry-path: a path begins with /"));
  }
  serve.config_file = raw.config_file;
  serve.reuseport_members = raw.reuseport_members;
  serve.program_times = raw.program_times;
  auto include = parse_filters(raw.include);
  if (!include) return tl::unexpected(include.error());
  auto exclude = parse_filters(raw.exclude);
  if (!exclude) return tl::unexpected(exclude.error());
  serve.selection.include = std::move(*include);
  serve.selection.exclude = std::move(*exclude);
  if (raw.max_listeners < 0) {
    return tl::unexpected(usage("--max-listeners: give a number, or 0 for no bound"));
  }
  serve.selection.max_listeners = static_cast<std::size_t>(raw.max_listeners);
  return serve;
}

/// Which options were given, where a value does not tell.
struct Given {
  bool columns = false;
  bool sort = false;
  bool count = false;
  bool delay = false;
  bool filter = false;
};

Result<Options> check(const Raw& raw, const Given& given, Command command,
                      bool stdout_is_terminal) {
  Options options;
  options.command = raw.list_fields ? Command::list_fields
                    : raw.explain   ? Command::explain
                                    : command;
  if (raw.json && raw.csv) return tl::unexpected(usage("--json and --csv exclude each other"));
  if (raw.once && raw.batch) return tl::unexpected(usage("--once and --batch exclude each other"));
  options.format = raw.json ? Format::json : raw.csv ? Format::csv : Format::text;
  const bool can_be_screen = stdout_is_terminal && !raw.json && !raw.csv;
  if (command == Command::serve) {
    if (raw.json || raw.csv || raw.once || raw.batch || given.columns || given.sort ||
        given.count || given.filter) {
      return tl::unexpected(
          usage("serve has no use for --once, --batch, --count, --json, --csv, --columns, --sort "
                "and --filter; --include and --exclude choose listeners"));
    }
    auto serve = parse_serve(raw);
    if (!serve) return tl::unexpected(serve.error());
    options.serve = std::move(*serve);
  }
  options.mode = raw.batch ? Mode::batch : raw.once || !can_be_screen ? Mode::once : Mode::screen;
  options.file = raw.file;
  options.ascii = raw.ascii;
  if (!raw.list_format.empty() && raw.list_format != "text" && raw.list_format != "md") {
    return tl::unexpected(usage("--list-fields: the format is text or md"));
  }
  options.markdown = raw.list_format == "md";

  if (!(raw.delay >= kShortestDelay && raw.delay <= kLongestDelay)) {
    return tl::unexpected(usage(fmt::format("--delay: {} is not from {} to {} seconds", raw.delay,
                                            kShortestDelay, kLongestDelay)));
  }
  options.delay_seconds = raw.delay;
  options.delay_given = given.delay;
  if (given.count) {
    if (raw.count < 1) return tl::unexpected(usage("--count: give a number of samples from 1 up"));
    options.count = static_cast<std::uint64_t>(raw.count);
  }

  if (given.columns) {
    auto columns = parse_columns(raw.columns);
    if (!columns) return tl::unexpected(columns.error());
    options.columns = std::move(*columns);
  }
  if (given.sort) {
    const auto sort = parse_sort(raw.sort);
    if (!sort) return tl::unexpected(sort.error());
    options.sort = *sort;
  }
  auto filter = Filter::parse(raw.filter);
  if (!filter) return tl::unexpected(filter.error());
  options.filter = std::move(*filter);
  options.filter_text = raw.filter;

  const auto backend = parse_backend(raw.backend);
  if (!backend) return tl::unexpected(backend.error());
  options.probe.backend = *backend;
  if (!raw.no_feature.empty()) {
    auto features = parse_features(raw.no_feature);
    if (!features) return tl::unexpected(features.error());
    options.probe.disabled = std::move(*features);
  }
  using Scope = CollectOptions::Scope;
  options.collect.scope = raw.netns == "all"    ? Scope::all
                          : raw.netns == "self" ? Scope::self
                                                : Scope::named;
  options.collect.name = raw.netns;
  auto nic = parse_nic(raw);
  if (!nic) return tl::unexpected(nic.error());
  options.collect.nic = std::move(*nic);
  choose_needs(options);
  return options;
}

void add_options(CLI::App& app, Raw& raw) {
  app.add_flag("-1,--once", raw.once, "one table at once, then exit");
  app.add_flag("-b,--batch", raw.batch, "a table every interval");
  app.add_option("-n,--count", raw.count, "stop after COUNT samples")->type_name("COUNT");
  app.add_option("-d,--delay", raw.delay, "seconds between samples, fractions allowed (default 1)")
      ->type_name("SECONDS");
  app.add_flag("--json", raw.json, "JSON: one document with --once, one a line with --batch");
  app.add_flag("--csv", raw.csv, "CSV with one header");
  app.add_option("--columns", raw.columns,
                 "fields to show, by id: see --list-fields; what is not shown is not read")
      ->type_name("ID[,ID]");
  app.add_option("--sort", raw.sort, "field to sort by; without it, trouble first")
      ->type_name("ID[:asc|:desc]");
  app.add_option("--filter", raw.filter, "e.g. 'port == 443 and accept_queue_fill > 0.8'")
      ->type_name("EXPR");
  app.add_option("--list-fields", raw.list_format, "print every field with its meaning")
      ->type_name("[text|md]")
      ->expected(0, 1);
  app.add_option("--netns", raw.netns,
                 "all (default for root), self, or a name of `ip netns` or an inode number")
      ->type_name("NETNS");
  app.add_option(
         "--nic", raw.nic,
         "count handshakes at interfaces: none (default), auto (all that bring packets in), "
         "or names")
      ->type_name("none|auto|IF[,IF]");
  app.add_option("--nic-mode", raw.nic_mode,
                 "how: auto (tc, which resets no link), xdp (native; some drivers reset the link), "
                 "xdp-generic, tc")
      ->type_name("MODE");
  app.add_option("--backend", raw.backend, "way of reading: auto, iter, diag")->type_name("NAME");
  app.add_option("--no-feature", raw.no_feature, "do without: see --explain for the names")
      ->type_name("NAME[,NAME]");
  app.add_flag("--explain", raw.explain,
               "print what feeds each field here, and why one is missing");
  app.add_flag("--ascii", raw.ascii, "draw the screen with ASCII alone");
}

void add_serve_options(CLI::App& serve, Raw& raw) {
  serve
      .add_option("--web.listen-address", raw.addresses,
                  "HOST:PORT, [IPV6]:PORT or :PORT; may be given more than once (default "
                  "127.0.0.1:9815, or the sockets that systemd hands over)")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  serve.add_option("--web.telemetry-path", raw.telemetry_path, "path of the metrics (/metrics)")
      ->type_name("PATH");
  serve
      .add_option("--web.config.file", raw.config_file,
                  "Prometheus' web configuration: TLS and users; read again when it changes")
      ->type_name("FILE");
  serve.add_flag("--web.reuseport-members", raw.reuseport_members,
                 "a series for each member of a reuseport group, instead of one for the group");
  serve
      .add_option("--max-listeners", raw.max_listeners,
                  "the most that are told, 0 for all (default 10000)")
      ->type_name("COUNT");
  serve
      .add_option("--include", raw.include,
                  "tell only listeners that match, e.g. 'process ~ nginx'; may be given more than "
                  "once, then one must match")
      ->type_name("EXPR")
      ->allow_extra_args(false);
  serve
      .add_option("--exclude", raw.exclude,
                  "tell no listener that matches; may be given more than once")
      ->type_name("EXPR")
      ->allow_extra_args(false);
  serve.add_flag("--program-times", raw.program_times,
                 "keep the kernel's BPF statistics on, for the bpf_program metrics: every BPF "
                 "program of the machine costs a little more");
}

}  // namespace

Parsed parse_options(int argc, const char* const* argv, bool stdout_is_terminal) {
  Raw raw;
  CLI::App app("Both queues of every TCP listener, their limits, losses and owners.",
               "listenq-top");
  app.set_version_flag("--version", "listenq-top " LISTENQ_VERSION);
  app.fallthrough();
  app.footer("Exit codes: 0 fine, 2 wrong usage, 3 not permitted or not supported.");
  add_options(app, raw);
  CLI::App* record = app.add_subcommand("record", "write raw samples to FILE");
  record->add_option("FILE", raw.file, "a file that does not exist yet")->required();
  CLI::App* replay = app.add_subcommand("replay", "show what record wrote");
  replay->add_option("FILE", raw.file, "a file made by record")->required();
  CLI::App* serve = app.add_subcommand("serve", "serve metrics for Prometheus, until SIGTERM");
  add_serve_options(*serve, raw);
  app.require_subcommand(0, 1);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {std::nullopt, app.help(), 0};
  } catch (const CLI::CallForVersion& version) {
    return {std::nullopt, std::string(version.what()) + "\n", 0};
  } catch (const CLI::ParseError& error) {
    return {std::nullopt,
            fmt::format("listenq-top: {}; see listenq-top --help\n", printable(error.what())), 2};
  }
  raw.list_fields = app.count("--list-fields") > 0;
  const Command command = record->parsed()   ? Command::record
                          : replay->parsed() ? Command::replay
                          : serve->parsed()  ? Command::serve
                                             : Command::watch;
  const Given given{app.count("--columns") > 0, app.count("--sort") > 0, app.count("--count") > 0,
                    app.count("--delay") > 0, app.count("--filter") > 0};
  auto options = check(raw, given, command, stdout_is_terminal);
  if (!options) {
    return {std::nullopt, fmt::format("listenq-top: {}\n", options.error().message),
            options.error().kind == ErrorKind::usage ? 2 : 3};
  }
  return {std::move(*options), "", 0};
}

}  // namespace listenq
