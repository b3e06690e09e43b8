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

}  // namespace listenq
