// SPDX-License-Identifier: Apache-2.0
// What is attached to an interface: XDP and tc programs, filters, qdiscs; and programs of somebody
// else to attach there. To see that the tool leaves nothing of its own behind, and all that is not.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "fd.h"
#include "netns.h"

namespace lqtest {

// One line each: "xdp 12", "tcx ingress 13", "filter ingress ...", "qdisc ...".
std::set<std::string> hooks_of(const Netns& space, const std::string& interface);
std::string text_of(const std::set<std::string>& hooks);

// Can programs be attached to tc so that they go with whoever attached them?
bool kernel_has_tcx();

// An XDP program of somebody else that passes everything, on the interface as long as this lives.
class ForeignXdp {
 public:
  static constexpr const char* kName = "lq_foreign";

  // Held by a BPF link, or attached as `ip link set ... xdp` and `... xdpgeneric` do.
  enum class By : uint8_t { link, netlink, netlink_generic };
  ForeignXdp(const Netns& space, const std::string& interface, By by);
  ForeignXdp(const ForeignXdp&) = delete;
  ForeignXdp& operator=(const ForeignXdp&) = delete;
  ~ForeignXdp();

 private:
  const Netns& space_;
  Fd program_;
  Fd link_;
  int interface_ = 0;
  uint32_t flags_ = 0;
};

}  // namespace lqtest
