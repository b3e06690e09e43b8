// SPDX-License-Identifier: Apache-2.0
//
// What a scrape costs the exporter, in each form that a client may ask for, and what the exporter
// costs when nobody asks. Called by plan.cpp.
#pragma once

#include <string>
#include <vector>

#include "measure.h"

namespace listenq::bench {

struct ExporterSizes {
  std::vector<int> listeners = {1000, 10000};
  int rounds = 5;   // starts of the exporter
  int scrapes = 8;  // of a form in a round, where it may be repeated
  int idle_seconds = 10;
  int slow_readers = 100;
};

struct Scrape {
  std::string what;
  Spread cpu_ms;   // of the exporter
  Spread wall_ms;  // of the client, until the last byte
  double megabytes = 0;
};

struct ExporterResult {
  int listeners = 0;
  std::vector<Scrape> scrapes;
  Spread idle_percent;         // of a core, at one sample a second and no scrape
  double idle_mb = 0;          // resident, at one sample a second, before the first scrape
  double scraped_mb = 0;       // the same after each form was asked for once, of other samples
  double slow_readers_mb = 0;  // while so many have each taken a little, each from another sample
};

ExporterResult measure_exporter(const std::string& tool, const ExporterSizes& sizes, int listeners);

}  // namespace listenq::bench
