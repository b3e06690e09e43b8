// SPDX-License-Identifier: Apache-2.0
//
// See wanted.h.
#include "app/wanted.h"

#include <algorithm>
#include <vector>

#include "model/fields.h"

namespace listenq {
namespace {

CloseUpRequest request_for(const RawListener& raw) {
  return {.netns = raw.netns, .cookie = raw.cookie, .inode = raw.inode};
}

bool same_listener(const CloseUpRequest& a, const CloseUpRequest& b) {
  return a.netns == b.netns && a.cookie == b.cookie && a.inode == b.inode;
}

}  // namespace

Wanted wanted_for(const Snapshot& snapshot, const RawListener* page, bool program_times,
                  std::size_t most) {
  std::vector<const ListenerRow*> troubled;
  for (const ListenerRow& row : snapshot.listeners) {
    if (Snapshot::in_trouble(row)) troubled.push_back(&row);
  }
  sort_rows(troubled, {});
  if (troubled.size() > most) troubled.resize(most);

  Wanted wanted;
  wanted.program_times = program_times;
  if (page != nullptr) wanted.close_ups.push_back(request_for(*page));
  for (const ListenerRow* row : troubled) {
    const CloseUpRequest request = request_for(*row->raw);
    if (page == nullptr || !same_listener(request, wanted.close_ups.front())) {
      wanted.close_ups.push_back(request);
    }
  }
  return wanted;
}

bool same(const Wanted& a, const Wanted& b) {
  return a.program_times == b.program_times &&
         std::equal(a.close_ups.begin(), a.close_ups.end(), b.close_ups.begin(), b.close_ups.end(),
                    same_listener);
}

}  // namespace listenq
