// SPDX-License-Identifier: Apache-2.0
//
// The text of --explain: the backend, what this host has, and per field what feeds it here or why
// nothing does. What a bug report should hold.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <iterator>

#include "app/run.h"
#include "model/fields.h"
#include "util/text.h"

namespace listenq {

std::string explain(const Probe& probe) {
  std::string out;
  const auto line = std::back_inserter(out);
  utsname names{};
  uname(&names);
  fmt::format_to(line, "kernel {} {}\nbackend {}", names.release, names.machine,
                 backend_name(probe.plan.backend));
  if (!probe.plan.why_not_better.empty()) {
    fmt::format_to(line, "; iter can't be used: {}", probe.plan.why_not_better);
  }
  fmt::format_to(line, "\n\nfeatures (each can be switched off by --no-feature)\n");
  for (std::size_t i = 0; i < kFeatures; ++i) {
    const auto feature = static_cast<Feature>(i);
    const Fact& fact = probe.facts[feature];
    const std::string state =
        fact.have ? "yes" : "no: " + (fact.why_not.empty() ? "not tried" : fact.why_not);
    fmt::format_to(line, "  {:<20} {}\n", feature_name(feature), state);
    if (!fact.detail.empty()) fmt::format_to(line, "  {:<20} ({})\n", "", printable(fact.detail));
  }
  fmt::format_to(line, "\nfields\n");
  for (const Field& field : fields()) {
    const Feed& feed = probe.plan.feed(field);
    fmt::format_to(line, "  {:<34} {}\n", field.id,
                   feed.from.empty() ? "absent: " + feed.why_not : feed.from);
  }
  return out;
}

std::string explain_nics(const Sample& sample, bool outlives_kill) {
  std::string out = "\ninterfaces (--nic)\n";
  const auto line = std::back_inserter(out);
  for (const RawNic& nic : sample.nics) {
    const std::string name = fmt::format("{}@{}", printable(nic.interface), number(nic.netns));
    fmt::format_to(line, "  {:<34} {}", name, nic.mode ? nic_mode_name(*nic.mode) : "not watched");
    if (!nic.note.empty()) fmt::format_to(line, ": {}", printable(nic.note));
    out += '\n';
  }
  if (sample.nics.empty()) out += "  none: no namespace that is shown has listeners\n";
  for (const RawNamespace& netns : sample.namespaces) {
    if (netns.nat.value_or("").empty()) continue;
    fmt::format_to(line,
                   "  destinations are rewritten in {} ({}): its ports at interfaces need not be "
                   "those of listeners\n",
                   number(netns.netns), *netns.nat);
  }
  out += outlives_kill
             ? "  this kernel has no links for tc (new in Linux 6.6): what kill -9 leaves behind, "
               "the next start that watches takes off\n"
             : "  all of it hangs on links, so nothing stays attached when the tool ends\n";
  return out;
}

}  // namespace listenq
