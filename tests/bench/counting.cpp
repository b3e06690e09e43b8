// SPDX-License-Identifier: Apache-2.0
//
// See counting.h.
#include "counting.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>

#include "bpf_stats.h"
#include "fail.h"
#include "traffic.h"
#include "watchers.h"

namespace listenq::bench {
namespace {

struct Rates {
  double syns = 0;
  double connections = 0;
  double connection_cpu = 0;  // seconds each
  double bulk = 0;
};

// Begins when the kernel has done what follows from the end of one watcher and the start of the
// next: it frees programs, and undoes its patches, in the background.
Rates rates_of(Traffic& traffic, const CountingSizes& sizes) {
  constexpr timespec kRest{.tv_sec = 0, .tv_nsec = 250'000'000};
  nanosleep(&kRest, nullptr);
  const Load syns = traffic.refused_syns(sizes.syns);
  const Load connections = traffic.connections(sizes.connections);
  const Load bulk = traffic.bulk(sizes.bulk_seconds);
  return {.syns = syns.events / syns.wall_s,
          .connections = connections.events / connections.wall_s,
          .connection_cpu = connections.cpu_s / connections.events,
          .bulk = bulk.events / bulk.wall_s};
}

// Some watchers, and nothing, in turn; within each round each is compared with that round's
// nothing.
class Throughput {
 public:
  Throughput(Traffic& traffic, const CountingSizes& sizes) : traffic_(traffic), sizes_(sizes) {}

  void round(const std::vector<const Watcher*>& watchers, int number);
  void tell(const Watcher& watcher, WatcherResult& result) const;
  void tell(CountingResult& result) const;

 private:
  struct Column {
    std::vector<double> syns, connections, connection_cpu, bulk, start_ms;
  };

  Traffic& traffic_;
  const CountingSizes& sizes_;
  std::map<std::string, Column> ratios_;
  Column nothing_;
};

void Throughput::round(const std::vector<const Watcher*>& watchers, int number) {
  std::map<std::string, Rates> rates;
  Rates nothing;
  const std::size_t slots = watchers.size() + 1;  // the last is nothing's
  for (std::size_t i = 0; i < slots; ++i) {
    const std::size_t which = (i + static_cast<std::size_t>(number)) % slots;
    if (which == watchers.size()) {
      nothing = rates_of(traffic_, sizes_);
      continue;
    }
    const Watcher& watcher = *watchers[which];
    const Watching watching(watcher, false);
    if (!watching.works()) fail("{}: {}", watcher.name, watching.why_not());
    ratios_[watcher.name].start_ms.push_back(watching.start_ms());
    rates[watcher.name] = rates_of(traffic_, sizes_);
  }
  for (const auto& [name, with] : rates) {
    Column& column = ratios_[name];
    column.syns.push_back(with.syns / nothing.syns);
    column.connections.push_back(with.connections / nothing.connections);
    column.connection_cpu.push_back(with.connection_cpu / nothing.connection_cpu);
    column.bulk.push_back(with.bulk / nothing.bulk);
  }
  nothing_.syns.push_back(nothing.syns);
  nothing_.connections.push_back(nothing.connections);
  nothing_.bulk.push_back(nothing.bulk);
}

void Throughput::tell(const Watcher& watcher, WatcherResult& result) const {
  const Column& column = ratios_.at(watcher.name);
  result.syns = spread_of(column.syns);
  result.connections = spread_of(column.connections);
  result.connection_cpu = spread_of(column.connection_cpu);
  result.bulk = spread_of(column.bulk);
  result.start_ms = spread_of(column.start_ms);
}

void Throughput::tell(CountingResult& result) const {
  result.syns_per_second = spread_of(nothing_.syns).median;
  result.connections_per_second = spread_of(nothing_.connections).median;
  result.bulk_gbit = spread_of(nothing_.bulk).median * 8 / 1e9;
}

// --- by the kernel's statistics

// All programs of a watcher and the empty ones, at one moment; by id, the empty ones by place.
struct Snapshot {
  std::map<std::uint32_t, ProgramTime> programs;
  std::map<Place, ProgramTime> empty;
};

double empty_ns(const Snapshot& before, const Snapshot& after, Place place) {
  const auto end = after.empty.find(place);
  const auto begin = before.empty.find(place);
  if (end == after.empty.end() || begin == before.empty.end()) return 0;
  const double runs = end->second.runs - begin->second.runs;
  return runs > 0 ? (end->second.ns - begin->second.ns) / runs : 0;
}

// One load under statistics: what each program took in it, and what an empty one would have.
struct Phase {
  Snapshot before;
  Snapshot after;
  double events = 0;
};

// What an empty program takes is learnt over all of the round: not every place sees every load.
std::map<std::uint32_t, RunTime> times_in(const Phase& phase, const Snapshot& first,
                                          const Snapshot& last) {
  std::map<std::uint32_t, RunTime> times;
  for (const auto& [id, after] : phase.after.programs) {
    const auto before = phase.before.programs.find(id);
    if (before == phase.before.programs.end()) continue;
    const double runs = after.runs - before->second.runs;
    times[id] = {.runs = runs / phase.events,
                 .ns = (after.ns - before->second.ns) / phase.events,
                 .empty_ns = runs * empty_ns(first, last, after.place) / phase.events};
  }
  return times;
}

RunTime sum_of(const std::map<std::uint32_t, RunTime>& times) {
  RunTime sum;
  for (const auto& [id, time] : times) {
    sum.runs += time.runs;
    sum.ns += time.ns;
    sum.empty_ns += time.empty_ns;
  }
  return sum;
}

class Statistics {
 public:
  Statistics(Traffic& traffic, const CountingSizes& sizes) : traffic_(traffic), sizes_(sizes) {}

  void round(const Watcher& watcher);
  void tell(WatcherResult& result) const;

 private:
  // The same three numbers of some rounds; the median of each is told.
  struct Rounds {
    std::vector<double> runs, ns, empty_ns;
    void add(const RunTime& time);
    [[nodiscard]] RunTime median() const;
  };
  struct Program {
    Rounds connection, syn;
  };

  Traffic& traffic_;
  const CountingSizes& sizes_;
  Rounds connection_, syn_, packet_;
  std::map<std::string, Program> programs_;
};

void Statistics::Rounds::add(const RunTime& time) {
  runs.push_back(time.runs);
  ns.push_back(time.ns);
  empty_ns.push_back(time.empty_ns);
}

RunTime Statistics::Rounds::median() const {
  return {.runs = spread_of(runs).median,
          .ns = spread_of(ns).median,
          .empty_ns = spread_of(empty_ns).median};
}

void Statistics::round(const Watcher& watcher) {
  const Watching watching(watcher, true);
  if (!watching.works()) fail("{}: {}", watcher.name, watching.why_not());
  std::set<Place> places = watcher.places;
  places.insert(Place::socket_filter);  // counts the packets
  const EmptyPrograms empty(places);
  const RunStatistics on;
  const auto snapshot = [&] {
    return Snapshot{times_of(watching.programs(), watcher.tracing), empty.times()};
  };
  const auto phase = [&](auto load) {
    Phase measured;
    measured.before = snapshot();
    measured.events = load().events;
    measured.after = snapshot();
    return measured;
  };
  const Phase connections = phase([&] { return traffic_.connections(sizes_.connections); });
  const Phase syns = phase([&] { return traffic_.refused_syns(sizes_.syns / 2); });
  Phase bulk = phase([&] { return traffic_.bulk(sizes_.bulk_seconds); });
  bulk.events = bulk.after.empty.at(Place::socket_filter).runs -
                bulk.before.empty.at(Place::socket_filter).runs;
  const auto of_connection = times_in(connections, connections.before, bulk.after);
  const auto of_syn = times_in(syns, connections.before, bulk.after);
  connection_.add(sum_of(of_connection));
  syn_.add(sum_of(of_syn));
  packet_.add(sum_of(times_in(bulk, connections.before, bulk.after)));
  for (const auto& [id, time] : of_connection) {
    Program& program = programs_[connections.after.programs.at(id).name];
    program.connection.add(time);
    program.syn.add(of_syn.at(id));
  }
}

void Statistics::tell(WatcherResult& result) const {
  result.connection = connection_.median();
  result.syn = syn_.median();
  result.packet = packet_.median();
  for (const auto& [name, program] : programs_) {
    const ProgramCost cost{name, program.connection.median(), program.syn.median()};
    if (cost.connection.runs + cost.syn.runs > 0.05) result.programs.push_back(cost);
  }
}

}  // namespace

CountingResult measure_counting(const std::string& tool, const CountingSizes& sizes) {
  CountingResult result;
  utsname kernel{};
  uname(&kernel);
  result.kernel = kernel.release;
  if (getloadavg(&result.load, 1) != 1) fail("no load average");
  Traffic traffic;
  rates_of(traffic, sizes);  // warms
  const std::vector<Watcher> all = watchers(tool);
  std::vector<const Watcher*> here;
  for (const Watcher& watcher : all) {
    const Watching watching(watcher, true);
    WatcherResult& entry = result.watchers.emplace_back();
    entry.name = watcher.name;
    entry.of_tool = !watcher.backend.empty();
    entry.why_not = watching.why_not();
    if (watching.works()) here.push_back(&watcher);
    fmt::print(stderr, "bench:   {}: {}\n", watcher.name,
               watching.works() ? fmt::format("{} programs", watching.programs().size())
                                : watching.why_not());
  }
  Throughput throughput(traffic, sizes);
  for (int i = 0; i < sizes.rounds; ++i) throughput.round(here, i);
  throughput.tell(result);
  std::map<std::string, Statistics> statistics;
  for (int i = 0; i < sizes.statistics_rounds; ++i) {
    for (const Watcher* watcher : here) {
      statistics.try_emplace(watcher->name, traffic, sizes).first->second.round(*watcher);
    }
  }
  for (const Watcher* watcher : here) {
    WatcherResult& entry = *std::find_if(
        result.watchers.begin(), result.watchers.end(),
        [&](const WatcherResult& candidate) { return candidate.name == watcher->name; });
    throughput.tell(*watcher, entry);
    statistics.at(watcher->name).tell(entry);
  }
  return result;
}

}  // namespace listenq::bench
