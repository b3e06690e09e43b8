// SPDX-License-Identifier: Apache-2.0
//
// What was measured in a virtual machine, carried to the run outside that writes the tables.
#include <nlohmann/json.hpp>

#include "counting.h"

namespace listenq::bench {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Spread, median, low, high)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunTime, runs, ns, empty_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ProgramCost, name, connection, syn)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WatcherResult, name, of_tool, why_not, syns, connections,
                                   connection_cpu, bulk, start_ms, connection, syn, packet,
                                   programs)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CountingResult, kernel, emulated, syns_per_second,
                                   connections_per_second, bulk_gbit, load, watchers)

std::string counting_to_json(const CountingResult& result) {
  return nlohmann::json(result).dump(1);
}

CountingResult counting_from_json(const std::string& text) {
  return nlohmann::json::parse(text).get<CountingResult>();
}

}  // namespace listenq::bench
