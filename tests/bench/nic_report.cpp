// SPDX-License-Identifier: Apache-2.0
//
// The tables of interfaces.
#include <fmt/format.h>

#include "report.h"
#include "table.h"

namespace listenq::bench {
namespace {

std::string ns(const Spread& spread) {
  return fmt::format("{:.1f} ({:.1f} to {:.1f})", spread.median, spread.low, spread.high);
}

std::string ratio(const Spread& spread) {
  return fmt::format("{:.3f} ({:.3f} to {:.3f})", spread.median, spread.low, spread.high);
}

std::string place_of(const std::string& program) {
  if (program.ends_with("xdp")) return "XDP";
  return program.ends_with("in") ? "tc, in" : "tc, out";
}

std::string goals_table(const NicResult& nic) {
  Goals goals;
  for (const NicCost& cost : nic.costs) {
    if (!cost.has_goal) continue;
    goals.row(fmt::format("{}: {}", place_of(cost.program), cost.packet), "15 ns",
              ns(cost.above) + " ns", cost.above.median <= 15);
  }
  return goals.text();
}

std::string costs_table(const NicResult& nic) {
  std::string text =
      "| where | packet | above an empty program, ns | the whole run, ns |\n|---|---|---|---|\n";
  for (const NicCost& cost : nic.costs) {
    text += fmt::format("| {} | {} | {} | {} |\n", place_of(cost.program), cost.packet,
                        ns(cost.above), ns(cost.whole));
  }
  return text;
}

std::string ways_table(const NicResult& nic) {
  std::string text =
      "| above an empty program, ns | the kernel is asked | SYN-ACKs are remembered "
      "|\n|---|---|---|\n";
  for (const NicWays& way : nic.ways) {
    text += fmt::format("| {} | {} | {} |\n", way.what, ns(way.asked), ns(way.remembered));
  }
  return text;
}

std::string exactness_table(const NicResult& nic) {
  std::string text =
      "| SYN-ACKs to others in between | the kernel keeps | handshakes that ended | the kernel is "
      "asked | SYN-ACKs are remembered |\n|---|---|---|---|---|\n";
  for (const NicExactness& row : nic.exactness) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", thousands(row.others), row.what,
                        row.handshakes, row.asked, row.remembered);
  }
  return text;
}

void add_rates(std::string& text, const std::string& way, const std::string& with,
               const NicRates& rates) {
  text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", way, with, ratio(rates.packets),
                      ratio(rates.syns), ratio(rates.connections), ratio(rates.bulk));
}

std::string wire_table(const NicResult& nic) {
  const auto million = [](const Spread& spread) {
    return fmt::format("{:.3f} million ({:.3f} to {:.3f})", spread.median / 1e6, spread.low / 1e6,
                       spread.high / 1e6);
  };
  const auto gbit = [](double bytes) { return number(bytes * 8 / 1e9); };
  std::string text =
      "| way | program | packets a second to a port without a listener | refused SYNs a second | "
      "connections a second | bytes of an established connection a second "
      "|\n|---|---|---|---|---|---|\n";
  text += fmt::format("| | none | {} | {} | {:.0f} ({:.0f} to {:.0f}) | {} Gbit/s ({} to {}) |\n",
                      million(nic.nothing.packets), million(nic.nothing.syns),
                      nic.nothing.connections.median, nic.nothing.connections.low,
                      nic.nothing.connections.high, gbit(nic.nothing.bulk.median),
                      gbit(nic.nothing.bulk.low), gbit(nic.nothing.bulk.high));
  for (const NicWireResult& wire : nic.wire) {
    add_rates(text, wire.way, "empty, against none", wire.empty);
    add_rates(text, wire.way, "listenq-top, against none", wire.tool);
    add_rates(text, wire.way, "listenq-top, against empty", wire.tool_to_empty);
  }
  return text;
}

}  // namespace

std::string nic_markdown(const Results& results, const Sizes& sizes, const std::string& tool) {
  const NicResult& nic = results.nic;
  if (nic.costs.empty() && nic.wire.empty()) return "";
  std::string text = fmt::format("\n{}", facts(results, sizes, tool));
  if (!nic.costs.empty()) {
    text += "### NIC: goals, above an empty program\n\n" + goals_table(nic);
    text += "\n### NIC: nanoseconds a packet, by test runs\n\n" + costs_table(nic);
    text += "\n### NIC: two ways to know the ACK that ends a handshake\n\n" + ways_table(nic);
    text += "\n### NIC: handshakes known in a SYN flood\n\n" + exactness_table(nic) + "\n";
  }
  if (!nic.wire.empty()) text += "### NIC: on a wire (veth)\n\n" + wire_table(nic) + "\n";
  return text;
}

}  // namespace listenq::bench
