// SPDX-License-Identifier: Apache-2.0
//
// See waiting_programs.h.
#include "probe/waiting_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "probe/iterator.h"
#include "probe/libbpf_log.h"
#include "probe/program_times.h"
#include "waiting.skel.h"

namespace listenq {
namespace {

static_assert(sizeof(listenq_waiting_record) == 40);

/// Of a program on its own, or over the sockets in a map.
Fd iterator_link(const bpf_program* program, int map) {
  bpf_iter_link_info info{};
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  if (map >= 0) {
    info.map.map_fd = static_cast<__u32>(map);
    options.iter_info = &info;
    options.iter_info_len = sizeof(info);
  }
  return Fd(bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &options));
}

std::string read(const Fd& link, const WaitingPrograms::Take& take) {
  // iter__waiting_tcp ends its walk by EAGAIN.
  return run_iterator(
      link.get(), sizeof(listenq_waiting_record), Eagain::is_the_end,
      [&](const void* data) { take(*static_cast<const listenq_waiting_record*>(data)); });
}

}  // namespace

WaitingPrograms::~WaitingPrograms() {
  waiting_bpf__destroy(skeleton_);
}

std::unique_ptr<WaitingPrograms> WaitingPrograms::load(const KernelFacts& facts, int marks) {
  keep_libbpf_warnings();
  waiting_bpf* skeleton = waiting_bpf__open();
  if (skeleton == nullptr) return nullptr;
  std::unique_ptr<WaitingPrograms> programs(new WaitingPrograms(skeleton));
  skeleton->rodata->listenq_cookie_helper = facts[Feature::cookie_helper].have ? 1 : 0;
  bpf_program__set_autoload(skeleton->progs.iter__waiting_marked, marks >= 0);
  if (waiting_bpf__load(skeleton) != 0) return nullptr;
  if (marks >= 0) programs->marked_ = iterator_link(skeleton->progs.iter__waiting_marked, marks);
  programs->tcp_ = iterator_link(skeleton->progs.iter__waiting_tcp, -1);
  return programs->tcp_ ? std::move(programs) : nullptr;
}

void WaitingPrograms::ask(std::span<const RawCloseUp> listeners) {
  const int map = bpf_map__fd(skeleton_->maps.asked);
  for (const __u64 key : asked_) (void)bpf_map_delete_elem(map, &key);
  asked_.clear();
  skeleton_->bss->listenq_inodes_asked = 0;
  for (__u32 number = 0; number < listeners.size() && number < LISTENQ_ASKED_MAX; ++number) {
    const RawCloseUp& listener = listeners[number];
    __u64 key = 0;
    if (listener.cookie) {
      key = static_cast<__u64>(*listener.cookie);
    } else if (listener.inode != 0) {
      key = listener.inode | LISTENQ_ASKED_BY_INODE;
      skeleton_->bss->listenq_inodes_asked = 1;
    } else {
      continue;
    }
    if (bpf_map_update_elem(map, &key, &number, BPF_ANY) == 0) asked_.push_back(key);
  }
}

std::string WaitingPrograms::read_marked(const Take& take) const {
  return read(marked_, take);
}

std::string WaitingPrograms::read_namespace(const Take& take) const {
  return read(tcp_, take);
}

void WaitingPrograms::list_programs(std::vector<RawProgram>& programs) const {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) {
    add_program(programs, bpf_program__name(program), bpf_program__fd(program));
  }
}

}  // namespace listenq
