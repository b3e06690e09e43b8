// SPDX-License-Identifier: Apache-2.0
//
// See nic.h. What is measured is checked by what the programs counted: a packet that took another
// path than the one it stands for would be a number for something else.
#include "nic.h"

#include <sched.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "fail.h"
#include "nic_frames.h"
#include "nic_programs.h"
#include "nic_wire.h"

namespace listenq::bench {
namespace {

constexpr std::uint32_t kManyClients = 1U << 20U;
constexpr std::uint32_t kTableSize = 65536;      // of SYN-ACKs remembered
constexpr std::uint32_t kRequest = 0x0a4c0001U;  // a client whose request is open
constexpr std::uint32_t kCookie = 0x0a4c0002U;   // a client that got a cookie
constexpr std::uint32_t kFirstClient = 0x0a4b0000U;
constexpr std::uint32_t kPassing = 0x0aa00000U;  // clients that are never heard of again
constexpr std::uint16_t kPort = NicWire::kPort;

enum class Counted { nothing, syn, synack, ack, rst };

struct Case {
  std::string packet;
  const NicObject* object = nullptr;
  std::vector<std::string> programs;
  Frame frame;
  Counted counted = Counted::nothing;
  bool has_goal = false;
};

std::uint64_t of(const listenq_nic_counts& counts, Counted which) {
  if (which == Counted::syn) return counts.syn_in;
  if (which == Counted::synack) return counts.synack_out;
  if (which == Counted::rst) return counts.rst_in;
  return which == Counted::ack ? counts.ack_in : 0;
}

// Test runs, inside the server's namespace.
class TestRuns {
 public:
  TestRuns(const NicWire& wire, const NicSizes& sizes) : wire_(wire), sizes_(sizes) {
    wire_.enter_server();
  }
  ~TestRuns() { wire_.leave(); }
  TestRuns(const TestRuns&) = delete;
  TestRuns& operator=(const TestRuns&) = delete;

  // Of all programs in turn, each beside an empty one.
  [[nodiscard]] std::vector<NicCost> measure(const std::vector<Case>& cases) const;
  // Once, to see whether the packet is what it stands for.
  void check(const Case& test, const std::string& program) const;

 private:
  struct Column {
    std::vector<double> whole, above;
  };
  const NicWire& wire_;
  const NicSizes& sizes_;
  EmptyNic empty_;
};

void TestRuns::check(const Case& test, const std::string& program) const {
  constexpr int kRuns = 100;
  const auto before = test.object->counts();
  test_run_ns(test.object->program(program), test.frame, kRuns);
  const auto after = test.object->counts();
  for (const Counted which : {Counted::syn, Counted::synack, Counted::ack, Counted::rst}) {
    const std::uint64_t expected = which == test.counted ? kRuns : 0;
    const std::uint64_t seen = of(after, which) - of(before, which);
    // A handshake counts both, whatever it stands for.
    const bool both = program.ends_with("handshake") && which == Counted::synack;
    if (seen != (both ? kRuns : expected)) {
      fail("{}, {}: {} counted, not {}", program, test.packet, seen, expected);
    }
  }
}

std::vector<NicCost> TestRuns::measure(const std::vector<Case>& cases) const {
  std::vector<NicCost> costs;
  for (const Case& test : cases) {
    for (const std::string& program : test.programs) {
      check(test, program);
      costs.push_back({.program = program,
                       .packet = test.packet,
                       .has_goal = test.has_goal,
                       .whole = {},
                       .above = {}});
    }
  }
  std::vector<Column> columns(costs.size());
  for (int round = 0; round < sizes_.test_rounds; ++round) {
    std::size_t column = 0;
    for (const Case& test : cases) {
      for (const std::string& program : test.programs) {
        const int empty =
            program.ends_with("xdp") || program.ends_with("handshake") ? empty_.xdp() : empty_.tc();
        const double nothing = test_run_ns(empty, test.frame, sizes_.runs);
        const double whole = test_run_ns(test.object->program(program), test.frame, sizes_.runs);
        columns[column].whole.push_back(whole);
        columns[column].above.push_back(whole - nothing);
        ++column;
      }
    }
  }
  for (std::size_t i = 0; i < costs.size(); ++i) {
    costs[i].whole = spread_of(columns[i].whole);
    costs[i].above = spread_of(columns[i].above);
  }
  return costs;
}

// The parties of the test runs: a connection, a request and a cookie, for real.
struct Parties {
  Segment data;
  Segment request_ack;
  Segment cookie_ack;
};

Segment ack_from(std::uint32_t client, std::uint32_t isn, int port) {
  return {.client = client,
          .server_port = static_cast<std::uint16_t>(port),
          .flags = kAck,
          .seq = client + 1,
          .ack = isn + 1};
}

Parties make_parties(NicWire& wire) {
  Parties parties;
  parties.data = {.client_port = wire.open_connection(),
                  .server_port = kPort,
                  .flags = kAck | kPsh,
                  .payload = 1400};
  wire.set_cookies(0);
  parties.request_ack = ack_from(kRequest, wire.ask({kRequest}, kPort).at(kRequest), kPort);
  wire.set_cookies(2);
  parties.cookie_ack = ack_from(kCookie, wire.ask({kCookie}, kPort).at(kCookie), kPort);
  return parties;
}

std::vector<NicCost> measure_costs(const NicWire& wire, const Parties& parties,
                                   const NicSizes& sizes) {
  const TestRuns runs(wire, sizes);
  const NicObject tool = NicObject::of_tool({kPort});
  // An open connection is found in the table from its second packet on. To have it looked up in
  // each run, it is forgotten before.
  const auto forgetful = [&](const Segment& segment) {
    NicObject object = NicObject::of_bench({kPort}, {.forgetful = true});
    test_run_ns(object.program("asked_xdp"), frame_of(segment), 1);
    object.forget_what_is_open();
    return object;
  };
  const NicObject forgets_data = forgetful(parties.data);
  const NicObject forgets_request = forgetful(parties.request_ack);
  const NicObject forgets_cookie = forgetful(parties.cookie_ack);
  const NicObject many = NicObject::of_bench({kPort}, {.clients = kManyClients});
  const std::vector<std::string> in = {"nic_xdp", "nic_in"};
  const std::vector<std::string> asked = {"asked_xdp", "asked_in"};
  const std::vector<std::string> out = {"nic_out"};
  const Segment elsewhere = {
      .server_port = NicWire::kClosedPort, .flags = kAck | kPsh, .payload = 1400};
  const Segment syn = {.client = kPassing, .server_port = kPort, .flags = kSyn};
  const auto with = [](Segment segment, auto change) {
    change(segment);
    return frame_of(segment);
  };
  const auto leaving = [](Segment& segment) { segment.outgoing = true; };
  const auto synack = [](Segment& segment) {
    segment.outgoing = true;
    segment.flags = kSyn | kAck;
  };
  const std::string no_listener = "TCP, a port without a listener";
  const std::string open = "data of an open connection, a listener's port";
  return runs.measure({
      {no_listener + ", IPv4", &tool, in, frame_of(elsewhere), Counted::nothing, true},
      {no_listener + ", IPv6", &tool, in, with(elsewhere, [](Segment& s) { s.ipv6 = true; }),
       Counted::nothing, true},
      {no_listener + ", two VLAN tags", &tool, in, with(elsewhere, [](Segment& s) { s.tags = 2; }),
       Counted::nothing, true},
      {"UDP", &tool, in, with(elsewhere, [](Segment& s) { s.udp = true; }), Counted::nothing, true},
      {open, &tool, in, frame_of(parties.data), Counted::nothing, true},
      {open + ", 9,000 bytes in several pieces",
       &tool,
       {"nic_xdp"},
       with(parties.data, [](Segment& segment) { segment.payload = 8946; }),
       Counted::nothing,
       true},
      {"SYN of 9,000 bytes in several pieces",
       &tool,
       {"nic_xdp"},
       with(syn, [](Segment& segment) { segment.payload = 8946; }),
       Counted::syn,
       false},
      {open + ", its first packet", &forgets_data, asked, frame_of(parties.data)},
      {"ACK that nobody waits for", &tool, in, frame_of(ack_from(kPassing, 1, kPort))},
      {"RST", &tool, in, with(syn, [](Segment& segment) { segment.flags = kRst; }), Counted::rst},
      {"SYN, always one client", &tool, in, frame_of(syn), Counted::syn},
      {"SYN, another client each time", &many, asked, frame_of(syn), Counted::syn},
      {"ACK of a request", &forgets_request, asked, frame_of(parties.request_ack), Counted::ack},
      {"ACK with a cookie", &forgets_cookie, asked, frame_of(parties.cookie_ack), Counted::ack},
      {no_listener + ", IPv4", &tool, out, with(elsewhere, leaving), Counted::nothing, true},
      {"UDP", &tool, out,
       with(elsewhere,
            [](Segment& s) {
              s.udp = true;
              s.outgoing = true;
            }),
       Counted::nothing, true},
      {open, &tool, out, with(parties.data, leaving), Counted::nothing, true},
      {"SYN-ACK, always one client", &tool, out, with(parties.request_ack, synack),
       Counted::synack},
      {"SYN-ACK, another client each time",
       &many,
       {"asked_out"},
       with(parties.request_ack, synack),
       Counted::synack},
  });
}

std::vector<NicWays> measure_ways(const NicWire& wire, const Parties& parties,
                                  const NicSizes& sizes) {
  const TestRuns runs(wire, sizes);
  const NicObject one = NicObject::of_bench({kPort}, {});
  const NicObject many = NicObject::of_bench({kPort}, {.clients = kManyClients});
  for (const NicObject* object : {&one, &many}) object->fill_synacks();
  NicObject forgetful = NicObject::of_bench({kPort}, {.forgetful = true});
  test_run_ns(forgetful.program("asked_xdp"), frame_of(parties.data), 1);
  forgetful.forget_what_is_open();
  Segment synack = parties.request_ack;
  synack.outgoing = true;
  synack.flags = kSyn | kAck;
  const Frame data = frame_of(parties.data);
  const std::vector<NicCost> costs = runs.measure({
      {"SYN-ACK out, always one client",
       &one,
       {"asked_out", "remembered_out"},
       frame_of(synack),
       Counted::synack},
      {"SYN-ACK out in a SYN flood: another client each time, the table full",
       &many,
       {"asked_out", "remembered_out"},
       frame_of(synack),
       Counted::synack},
      {"a handshake's SYN-ACK and ACK, XDP",
       &one,
       {"asked_handshake", "remembered_handshake"},
       frame_of(parties.request_ack),
       Counted::ack},
      {"the same with a cookie",
       &one,
       {"asked_handshake", "remembered_handshake"},
       frame_of(parties.cookie_ack),
       Counted::ack},
      {"data of an open connection in, XDP", &one, {"asked_xdp", "remembered_xdp"}, data},
      {"data of an open connection in, tc", &one, {"asked_in", "remembered_in"}, data},
      {"its first packet, XDP", &forgetful, {"asked_xdp", "remembered_xdp"}, data},
      {"ACK that nobody waits for, XDP",
       &one,
       {"asked_xdp", "remembered_xdp"},
       frame_of(ack_from(kPassing, 1, kPort))},
  });
  std::vector<NicWays> ways;
  for (std::size_t i = 0; i + 1 < costs.size(); i += 2) {
    ways.push_back({costs[i].packet, costs[i].above, costs[i + 1].above});
  }
  return ways;
}

// --- handshakes that end while others come

class Exactness {
 public:
  Exactness(const NicWire& wire, const NicSizes& sizes) : wire_(wire), sizes_(sizes) {
    wire_.set_cookies(1);
    wire_.enter_server();
    const Ports ports = {NicWire::kQuietPort, NicWire::kCrowdedPort};
    tool_.emplace(NicObject::of_tool(ports));
    alternative_.emplace(NicObject::of_bench(ports, {}));
    const auto on = [&](std::optional<OnInterface>& place, const NicObject& object, const char* in,
                        const char* out) {
      place.emplace(NicWay::tc, object.program(in), object.program(out));
    };
    on(tool_there_, *tool_, "nic_in", "nic_out");
    on(alternative_there_, *alternative_, "remembered_in", "remembered_out");
    wire_.leave();
    if (sched_getaffinity(0, sizeof(cpus_), &cpus_) != 0) fail_errno("asking for the own CPUs");
    pin(0);
  }
  ~Exactness() { sched_setaffinity(0, sizeof(cpus_), &cpus_); }
  Exactness(const Exactness&) = delete;
  Exactness& operator=(const Exactness&) = delete;

  struct Asked {
    int port = 0;
    std::uint64_t others = 0;                        // SYN-ACKs before
    std::map<std::uint32_t, std::uint32_t> numbers;  // the server's first one, by client
  };
  [[nodiscard]] Asked begin(std::uint32_t first, int port) const {
    std::vector<std::uint32_t> clients;
    clients.reserve(static_cast<std::size_t>(sizes_.handshakes));
    for (int i = 0; i < sizes_.handshakes; ++i) {
      clients.push_back(first + static_cast<std::uint32_t>(i));
    }
    auto numbers = wire_.ask(clients, port);
    return {.port = port, .others = tool_->counts().synack_out, .numbers = std::move(numbers)};
  }

  // Until so many SYN-ACKs have left. On another CPU than the handshakes: a kernel that can't queue
  // a request's repeated SYN-ACK there drops the request.
  void let_pass(std::uint32_t count) {
    constexpr std::uint32_t kAtOnce = 8192;
    const std::uint64_t before = tool_->counts().synack_out;
    const Load load = in_child(wire_.server(), [&] {
      std::uint32_t client = next_;
      while (tool_->counts().synack_out - before < count) {
        std::vector<Frame> frames;
        for (std::uint32_t i = 0; i < kAtOnce; ++i) {
          frames.push_back(frame_of({.client = kPassing + client++,
                                     .server_port = NicWire::kCrowdedPort,
                                     .flags = kSyn}));
        }
        wire_.send(frames);
      }
      return client - next_;
    });
    next_ += static_cast<std::uint32_t>(load.events);
  }

  [[nodiscard]] NicExactness end(const std::string& what, const Asked& asked) const {
    const std::uint64_t tool = tool_->counts().ack_in;
    const std::uint64_t alternative = alternative_->counts().ack_in;
    const std::uint64_t others = tool_->counts().synack_out - asked.others;
    int accepted = 0;
    for (const auto& [client, isn] : asked.numbers) {
      wire_.send({frame_of(ack_from(client, isn, asked.port))});
      accepted += wire_.accept_one(asked.port) ? 1 : 0;
    }
    return {.what = what,
            .others = static_cast<int>(others),
            .handshakes = accepted,
            .asked = static_cast<int>(tool_->counts().ack_in - tool),
            .remembered = static_cast<int>(alternative_->counts().ack_in - alternative)};
  }

 private:
  const NicWire& wire_;
  const NicSizes& sizes_;
  std::optional<NicObject> tool_, alternative_;
  std::optional<OnInterface> tool_there_, alternative_there_;
  cpu_set_t cpus_{};
  std::uint32_t next_ = 0;  // of those that pass
};

std::vector<NicExactness> measure_exactness(const NicWire& wire, const NicSizes& sizes) {
  std::vector<NicExactness> results;
  Exactness exactness(wire, sizes);
  const auto early = exactness.begin(kFirstClient, NicWire::kQuietPort);
  results.push_back(exactness.end("requests", early));
  const auto requests = exactness.begin(kFirstClient + 0x2000, NicWire::kQuietPort);
  exactness.let_pass(10 * kTableSize);
  const auto cookies = exactness.begin(kFirstClient + 0x4000, NicWire::kCrowdedPort);
  exactness.let_pass(2 * kTableSize);
  results.push_back(exactness.end("requests", requests));
  results.push_back(exactness.end("cookies", cookies));
  return results;
}

// --- on the wire

struct Rates {
  double packets = 0, syns = 0, connections = 0, bulk = 0;
};

Rates rates_on(const NicWire& wire, double seconds) {
  const auto rate = [](const Load& load) { return load.events / load.wall_s; };
  return {.packets = rate(wire.packets(seconds)),
          .syns = rate(wire.refused_syns(seconds)),
          .connections = rate(wire.connections(seconds)),
          .bulk = rate(wire.bulk(seconds))};
}

// Rates of some rounds, or their ratios.
class Series {
 public:
  void add(const Rates& rates) {
    packets_.push_back(rates.packets);
    syns_.push_back(rates.syns);
    connections_.push_back(rates.connections);
    bulk_.push_back(rates.bulk);
  }
  void add(const Rates& rates, const Rates& to) {
    add({.packets = rates.packets / to.packets,
         .syns = rates.syns / to.syns,
         .connections = rates.connections / to.connections,
         .bulk = rates.bulk / to.bulk});
  }
  [[nodiscard]] NicRates spread() const {
    return {.packets = spread_of(packets_),
            .syns = spread_of(syns_),
            .connections = spread_of(connections_),
            .bulk = spread_of(bulk_)};
  }

 private:
  std::vector<double> packets_, syns_, connections_, bulk_;
};

void measure_on_wire(const NicWire& wire, const NicSizes& sizes, NicResult& result) {
  constexpr std::array<std::pair<NicWay, const char*>, 3> kWays = {
      {{NicWay::native, "native XDP"}, {NicWay::generic, "generic XDP"}, {NicWay::tc, "tc"}}};
  constexpr std::size_t kSlots = 1 + 2 * kWays.size();  // nothing, and empty and ours of each
  wire.set_cookies(0);
  const EmptyNic empty;
  const Ports ports = {NicWire::kPort, NicWire::kFloodPort};
  const NicObject native = NicObject::of_tool(ports);
  const NicObject others = NicObject::of_tool(ports, false);
  const auto rates_with = [&](std::size_t slot) {
    if (slot == 0) return rates_on(wire, sizes.wire_seconds);
    const NicWay way = kWays.at((slot - 1) / 2).first;
    const bool is_empty = slot % 2 == 1;
    const NicObject& tool = way == NicWay::native ? native : others;
    const int in_of_tool = tool.program(way == NicWay::tc ? "nic_in" : "nic_xdp");
    const int in_of_empty = way == NicWay::tc ? empty.tc() : empty.xdp(way == NicWay::native);
    wire.enter_server();
    const OnInterface there(way, is_empty ? in_of_empty : in_of_tool,
                            is_empty ? empty.tc() : tool.program("nic_out"));
    wire.leave();
    return rates_on(wire, sizes.wire_seconds);
  };
  Series nothing;
  struct Column {
    Series empty, tool, tool_to_empty;
  };
  std::array<Column, kWays.size()> columns;
  rates_with(0);  // warms
  for (int round = 0; round < sizes.wire_rounds; ++round) {
    std::array<Rates, kSlots> rates;
    for (std::size_t i = 0; i < kSlots; ++i) {
      const std::size_t slot = (i + static_cast<std::size_t>(round)) % kSlots;
      rates.at(slot) = rates_with(slot);
    }
    nothing.add(rates[0]);
    for (std::size_t way = 0; way < kWays.size(); ++way) {
      Column& column = columns.at(way);
      const Rates& of_empty = rates.at(1 + 2 * way);
      const Rates& of_tool = rates.at(2 + 2 * way);
      column.empty.add(of_empty, rates[0]);
      column.tool.add(of_tool, rates[0]);
      column.tool_to_empty.add(of_tool, of_empty);
    }
  }
  result.nothing = nothing.spread();
  for (std::size_t way = 0; way < kWays.size(); ++way) {
    const Column& column = columns.at(way);
    result.wire.push_back({.way = kWays.at(way).second,
                           .empty = column.empty.spread(),
                           .tool = column.tool.spread(),
                           .tool_to_empty = column.tool_to_empty.spread()});
  }
}

}  // namespace

void measure_nic_runs(const NicSizes& sizes, NicResult& result) {
  NicWire wire;
  const Parties parties = make_parties(wire);
  result.costs = measure_costs(wire, parties, sizes);
  result.ways = measure_ways(wire, parties, sizes);
  result.exactness = measure_exactness(wire, sizes);
}

void measure_nic_wire(const NicSizes& sizes, NicResult& result) {
  const NicWire wire;
  measure_on_wire(wire, sizes, result);
}

}  // namespace listenq::bench
