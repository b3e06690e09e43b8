// SPDX-License-Identifier: Apache-2.0
//
// The backend `iter`: sock_diag lists the listeners, BPF iterators add what it does not tell (the
// SYN queue, Fast Open, who holds the socket). See docs/design.md for why it takes both.
#pragma once

#include <memory>

#include "probe/backend.h"
#include "probe/bpf_programs.h"

namespace listenq {

/// `facts` and `plan` as the programs were loaded.
[[nodiscard]] std::unique_ptr<Backend> make_bpf_backend(std::unique_ptr<BpfPrograms> programs,
                                                        const KernelFacts& facts, const Plan& plan);

}  // namespace listenq
