// SPDX-License-Identifier: Apache-2.0
//
// What a waterfall tells, in numbers and words. How it is kept is in waterfalls.cpp.
#include "model/waterfall.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "util/text.h"

namespace listenq {
namespace {

struct StepWords {
  std::string_view name;
  std::string_view what;  ///< follows "N of M": what is lost, and what that means
};

constexpr std::array<StepWords, kWaterfallSteps> kSteps = {{
    {"before_tcp",
     "SYNs seen at the interface never reached the listener: lost before TCP (nftables/iptables "
     "rules, conntrack, rp_filter, softnet)"},
    {"at_syn",
     "SYNs that reached the listener got no SYN-ACK: refused at the SYN (a full queue, no memory, "
     "no route back)"},
    {"synack_out",
     "SYN-ACKs sent were not seen to leave by an interface: lost on the way out (nftables/iptables "
     "rules, routing, queueing discipline)"},
    {"unanswered",
     "SYN-ACKs were never answered: lost on the network, or clients that do not complete "
     "handshakes (scans, SYN floods)"},
    {"ack_before_tcp",
     "handshake ACKs seen at the interface never reached the listener: lost before TCP "
     "(nftables/iptables rules, conntrack, rp_filter, softnet)"},
    {"at_ack",
     "handshake ACKs did not get into the accept queue: refused at the ACK (full accept queue)"},
    {"unaccepted", "connections in the accept queue were thrown away when a listener closed"},
}};

Waterfall::Sum difference(const Waterfall::Sum& in, const Waterfall::Sum& out) {
  if (!in || !out) return std::nullopt;
  return *in > *out ? *in - *out : 0;
}

constexpr std::array<Counter, Waterfall::kTcp> kCounterOf = {
    Counter::syns,           Counter::synacks, Counter::synack_retransmits,
    Counter::handshake_acks, Counter::accepts, Counter::closed_unaccepted};

}  // namespace

std::string_view step_name(WaterfallStep step) {
  return kSteps[static_cast<std::size_t>(step)].name;
}

Counter Waterfall::counter_of(Tcp which) {
  return kCounterOf[static_cast<std::size_t>(which)];
}

Waterfall::Sum Waterfall::of_nic(Nic which) const {
  if (!has_nic()) return std::nullopt;
  return nic[static_cast<std::size_t>(which)];
}

Waterfall::Sum Waterfall::of_tcp(Tcp which) const {
  const auto bit = static_cast<unsigned>(counter_of(which));
  if (((counters >> bit) & 1U) == 0) return std::nullopt;
  return tcp[static_cast<std::size_t>(which)];
}

Waterfall::Sum Waterfall::nic_syns() const {
  return difference(of_nic(Nic::syns), of_nic(Nic::syns_known));
}

Waterfall::Sum Waterfall::synacks_sent() const {
  const Sum first = of_tcp(Tcp::synacks);
  const Sum again = of_tcp(Tcp::synack_retransmits);
  if (!first || !again) return std::nullopt;
  return *first + *again;
}

Waterfall::Sum Waterfall::queued() const {
  return accepts() ? Sum(entered_queue) : std::nullopt;
}

Waterfall::Sum Waterfall::lost(WaterfallStep step) const {
  switch (step) {
    case WaterfallStep::before_tcp:
      return difference(nic_syns(), syns());
    case WaterfallStep::at_syn:
      return difference(syns(), synacks());
    case WaterfallStep::synack_out:
      // What leaves by an interface that nobody watches, or no longer, is not lost.
      if (nics_incomplete || !listed) return std::nullopt;
      return difference(synacks_sent(), nic_synacks());
    case WaterfallStep::unanswered: {
      if (!syn_queue_known || !synacks() || !handshake_acks()) return std::nullopt;
      return difference(*synacks() + in_syn_queue_at_start, *handshake_acks() + in_syn_queue);
    }
    case WaterfallStep::ack_before_tcp:
      return difference(nic_acks(), handshake_acks());
    case WaterfallStep::at_ack:
      return difference(handshake_acks(), queued());
    case WaterfallStep::unaccepted:
    case WaterfallStep::count_:
      break;
  }
  return of_tcp(Tcp::closed_unaccepted);
}

Waterfall::Sum Waterfall::entered(WaterfallStep step) const {
  switch (step) {
    case WaterfallStep::before_tcp:
      return nic_syns();
    case WaterfallStep::at_syn:
      return syns();
    case WaterfallStep::synack_out:
      return synacks_sent();
    case WaterfallStep::unanswered:
      return synacks();
    case WaterfallStep::ack_before_tcp:
      return nic_acks();
    case WaterfallStep::at_ack:
      return handshake_acks();
    case WaterfallStep::unaccepted:
    case WaterfallStep::count_:
      break;
  }
  return queued();
}

/// Two steps need more than a number above 0. What they compare is read at different moments, so
/// that what is under way looks lost; and on any network some clients vanish. A SYN-ACK that never
/// left, or whose ACK did not get in, was not answered either: that is the other step's loss.
std::optional<WaterfallStep> Waterfall::lost_at() const {
  constexpr std::uint64_t kUsual = 100;  // one of so many
  std::optional<WaterfallStep> worst;
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < kWaterfallSteps; ++i) {
    const auto step = static_cast<WaterfallStep>(i);
    std::uint64_t amount = lost(step).value_or(0);
    if (step == WaterfallStep::unanswered) {
      const std::uint64_t elsewhere = lost(WaterfallStep::synack_out).value_or(0) +
                                      lost(WaterfallStep::ack_before_tcp).value_or(0);
      amount -= std::min(amount, elsewhere);
    }
    const bool is_loose = step == WaterfallStep::unanswered || step == WaterfallStep::synack_out;
    if (is_loose && amount <= entered(step).value_or(0) / kUsual) continue;
    if (amount <= most) continue;
    most = amount;
    worst = step;
  }
  return worst;
}

std::string Waterfall::note() const {
  if (watched && !rewritten_by.empty()) {
    return fmt::format(
        "destinations are rewritten here ({}): ports at the interface need not be this listener's",
        printable(rewritten_by));
  }
  const auto more = [](const Sum& listener, const Sum& interface) {
    return listener && interface && *listener > *interface;
  };
  if (nics_incomplete && (more(syns(), nic_syns()) || more(handshake_acks(), nic_acks()))) {
    return "not every interface of this namespace is watched";
  }
  return {};
}

std::string waterfall_text(const Waterfall& waterfall) {
  std::string text;
  const auto step = [&](std::string_view name, const Waterfall::Sum& sum) {
    if (!text.empty()) text += " > ";
    fmt::format_to(std::back_inserter(text), "{} ", name);
    if (sum) {
      fmt::format_to(std::back_inserter(text), "{}", *sum);
    } else {
      text += '-';
    }
  };
  if (waterfall.has_nic()) step("NIC", waterfall.nic_syns());
  step("SYN", waterfall.syns());
  step("SYN-ACK", waterfall.synacks());
  step("ACK", waterfall.handshake_acks());
  step("queued", waterfall.queued());
  step("accepted", waterfall.accepts());
  return text;
}

std::string loss_text(const Waterfall& waterfall, WaterfallStep step) {
  const std::uint64_t lost = waterfall.lost(step).value_or(0);
  if (lost == 0) return {};
  const Waterfall::Sum all = waterfall.entered(step);
  return fmt::format("{} of {} {}", grouped(lost), all ? grouped(*all) : std::string("all"),
                     kSteps[static_cast<std::size_t>(step)].what);
}

}  // namespace listenq
