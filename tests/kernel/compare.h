// SPDX-License-Identifier: Apache-2.0
// The tool's rows against those of ss and against the plan of the test world. Everything here
// returns the differences as text, empty when there are none, so that a failed test names each
// wrong row.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ss.h"
#include "tool.h"
#include "world.h"

namespace lqtest {

// One run of the tool between two runs of ss that agree with each other, so that any difference is
// the tool's. `ss` is by inode of the namespace, then by cookie.
struct Witnessed {
  Json document;
  std::map<uint64_t, std::map<uint64_t, SsListener>> ss;
};
// Repeats a bounded number of times until the two agree; a null document when they never do.
Witnessed witness(const std::string& backend, const std::vector<const Netns*>& spaces);
// The whole test world, once a backend: for the tests that look at it from different sides.
const Witnessed& witnessed_world(const std::string& backend);

// Row by row: same set of listeners, and in each the address, port, family, both numbers, drops,
// inode, uid and owners that ss has.
std::string compare_with_ss(const Json& document, uint64_t netns_inode,
                            const std::map<uint64_t, SsListener>& ss);

// The row of the tool for a known (address, port); several for a group.
std::vector<Json> rows_at(const Json& document, uint64_t netns_inode, const std::string& address,
                          uint16_t port);

// The rule for limit_set_by, written down a second time.
std::string limit_set_by(uint64_t limit, uint64_t somaxconn);
// The same for syn_queue_limit; null where the SYN queue is not used.
Json syn_queue_limit(uint64_t limit, const Netns& netns);

}  // namespace lqtest
