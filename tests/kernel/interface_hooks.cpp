// SPDX-License-Identifier: Apache-2.0
// What is attached to an interface: see interface_hooks.h.
#include "interface_hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "process.h"
#include "tool.h"

namespace lqtest {
namespace {

// libbpf 1.1 has no names for them.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);

void add_tcx(std::set<std::string>& to, int interface, bpf_attach_type type) {
  std::array<uint32_t, 64> ids{};
  uint32_t flags = 0;
  uint32_t count = ids.size();
  if (::bpf_prog_query(interface, type, 0, &flags, ids.data(), &count) != 0) return;  // none here
  for (uint32_t i = 0; i < count; ++i)
    to.insert(fmt::format("tcx {} {}", type == kTcxIngress ? "ingress" : "egress", ids.at(i)));
}

void add_lines(std::set<std::string>& to, const Netns& space, const std::string& what,
               const std::vector<std::string>& argv) {
  RunOptions options;
  options.netns_fd = space.fd();
  const RunResult result = run_program(argv, options);
  if (result.status != 0) return;  // no qdisc to have filters
  for (const std::string& line : split_lines(result.out)) to.insert(what + " " + trim(line));
}

}  // namespace

std::set<std::string> hooks_of(const Netns& space, const std::string& interface) {
  std::set<std::string> found;
  space.run([&] {
    const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (index == 0) throw std::runtime_error("no interface " + interface);
    LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
    if (const int error = ::bpf_xdp_query(index, 0, &xdp); error != 0)
      throw std::runtime_error(fmt::format("bpf_xdp_query: {}", error));
    for (const uint32_t id : {xdp.drv_prog_id, xdp.skb_prog_id, xdp.hw_prog_id})
      if (id != 0) found.insert(fmt::format("xdp {}", id));
    add_tcx(found, index, kTcxIngress);
    add_tcx(found, index, kTcxEgress);
  });
  add_lines(found, space, "qdisc", {"tc", "qdisc", "show", "dev", interface});
  for (const char* side : {"ingress", "egress"})
    add_lines(found, space, fmt::format("filter {}", side),
              {"tc", "filter", "show", "dev", interface, side});
  return found;
}

std::string text_of(const std::set<std::string>& hooks) {
  std::string text;
  for (const std::string& one : hooks) text += one + "\n";
  return text;
}

bool kernel_has_tcx() {
  return kernel_knows("tcx_prog_attach");
}

ForeignXdp::ForeignXdp(const Netns& space, const std::string& interface, By by)
    : space_(space), flags_(by == By::netlink_generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE) {
  // r0 = XDP_PASS; exit
  const std::array<bpf_insn, 2> code{{{0xb7, 0, 0, 0, 2}, {0x95, 0, 0, 0, 0}}};
  LIBBPF_OPTS(bpf_prog_load_opts, load);
  // Frames in several pieces, since 5.18. Kernels treat a frame in another way then, which tc sees
  // behind generic XDP.
  for (const uint32_t flags : {uint32_t{BPF_F_XDP_HAS_FRAGS}, uint32_t{0}}) {
    load.prog_flags = flags;
    if (program_.valid()) break;
    program_ =
        Fd(::bpf_prog_load(BPF_PROG_TYPE_XDP, kName, "GPL", code.data(), code.size(), &load));
  }
  if (!program_.valid()) throw_errno("load an XDP program");
  space_.run([&] {
    interface_ = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (by == By::link) {
      LIBBPF_OPTS(bpf_link_create_opts, options);
      options.flags = flags_;
      link_ = Fd(::bpf_link_create(program_.get(), interface_, BPF_XDP, &options));
      if (!link_.valid()) throw_errno("link an XDP program");
    } else if (::bpf_xdp_attach(interface_, program_.get(), flags_, nullptr) != 0) {
      throw_errno("attach an XDP program");
    }
  });
}

ForeignXdp::~ForeignXdp() {
  if (link_.valid()) return;
  space_.run([&] { ::bpf_xdp_detach(interface_, flags_, nullptr); });
}

}  // namespace lqtest
