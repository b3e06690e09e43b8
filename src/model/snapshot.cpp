// SPDX-License-Identifier: Apache-2.0
//
// A closed listener outlives the Sample it was read in, so its row must point at copies.
#include "model/snapshot.h"

namespace listenq {

ClosedListener::ClosedListener(const ListenerRow& last, std::uint64_t closed_at_wall_ns)
    : closed_wall_ns(closed_at_wall_ns),
      row(last),
      raw_(*last.raw),
      raw_namespace_{last.netns->raw->netns, last.netns->raw->name, last.netns->raw->sysctls, {}},
      namespace_{&raw_namespace_, {}},
      pids_(last.pids.begin(), last.pids.end()),
      pod_(last.pod) {
  row.raw = &raw_;
  row.netns = &namespace_;
  row.pids = pids_;
  row.pod = pod_;
  if (last.process != nullptr) {
    process_ = *last.process;
    row.process = &process_;
  }
  if (!last.cgroup) return;
  row.cgroup = process_.cgroup ? *process_.cgroup : *raw_.cgroup;
  if (last.container.empty()) return;
  const auto offset = static_cast<std::size_t>(last.container.data() - last.cgroup->data());
  row.container = row.cgroup->substr(offset, last.container.size());
}

}  // namespace listenq
