// SPDX-License-Identifier: Apache-2.0
//
// The tables of the exporter.
#include <fmt/format.h>

#include "report.h"
#include "table.h"

namespace listenq::bench {
namespace {

std::string goals_table(const std::vector<ExporterResult>& results) {
  Goals goals;
  for (const ExporterResult& result : results) {
    const bool large = result.listeners >= 10'000;
    const std::string listeners = thousands(result.listeners) + " listeners";
    for (const Scrape& scrape : result.scrapes) {
      if (scrape.what != "plain text") continue;
      const std::string what = "CPU time of a scrape, plain text, " + listeners;
      goals.at_most(what, large ? 20 : 2, " ms", scrape.cpu_ms);
      goals.at_most(what + " (stretch)", large ? 8 : 1, " ms", scrape.cpu_ms);
    }
    goals.at_most("CPU at one sample a second and no scrape, " + listeners, large ? 1.5 : 0.3, " %",
                  result.idle_percent);
    if (!large) continue;
    goals.row("resident memory before the first scrape, " + listeners, "20 MB",
              fmt::format("{:.1f} MB", result.idle_mb), result.idle_mb <= 20);
    goals.row("resident memory after scrapes, " + listeners, "20 MB",
              fmt::format("{:.1f} MB", result.scraped_mb), result.scraped_mb <= 20);
  }
  return goals.text();
}

}  // namespace

std::string exporter_markdown(const Results& results, const Sizes& sizes, const std::string& tool) {
  if (results.exporter.empty()) return "";
  std::string text = fmt::format("\n{}### Exporter: goals\n\n{}\n", facts(results, sizes, tool),
                                 goals_table(results.exporter));
  text +=
      "### Exporter: a scrape\n\n| listeners | form | CPU time of the exporter, ms | until the "
      "client has it, ms | MB |\n|---|---|---|---|---|\n";
  for (const ExporterResult& result : results.exporter) {
    for (const Scrape& scrape : result.scrapes) {
      text += fmt::format("| {} | {} | {} | {} | {:.2f} |\n", thousands(result.listeners),
                          scrape.what, with_quartiles(scrape.cpu_ms, ""),
                          with_quartiles(scrape.wall_ms, ""), scrape.megabytes);
    }
  }
  text += fmt::format(
      "\n### Exporter: at rest, and with {} slow readers\n\n| listeners | CPU in percent of a "
      "core, "
      "no scrape | resident before the first scrape, MB | after scrapes, MB | with slow readers, "
      "MB "
      "|\n|---|---|---|---|---|\n",
      sizes.exporter.slow_readers);
  for (const ExporterResult& result : results.exporter) {
    text += fmt::format("| {} | {} | {:.1f} | {:.1f} | {:.1f} |\n", thousands(result.listeners),
                        with_quartiles(result.idle_percent, ""), result.idle_mb, result.scraped_mb,
                        result.slow_readers_mb);
  }
  return text + "\n";
}

}  // namespace listenq::bench
