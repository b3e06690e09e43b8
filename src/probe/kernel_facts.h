// SPDX-License-Identifier: Apache-2.0
//
// Finds out what this host allows and opens the backend that follows from it.
#pragma once

#include <memory>
#include <vector>

#include "probe/backend.h"
#include "probe/event_counter.h"
#include "probe/plan.h"

namespace listenq {

struct ProbeOptions {
  BackendChoice backend = BackendChoice::automatic;
  std::vector<Feature> disabled;  ///< by --no-feature
  bool single_sample = false;
  bool bpf_wanted = true;  ///< false: nothing shown needs BPF, so the automatic choice spares it
  bool counting_wanted = true;  ///< false: nothing shown is counted; only a forced backend counts
};

struct Probe {
  KernelFacts facts;
  Plan plan;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<EventCounter> counter;  ///< nullptr: nothing is counted
};

/// What can be told without loading anything: rights, BTF, namespaces, sock_diag. The features of
/// single BPF programs stay unknown (not had, no reason) until they are tried.
[[nodiscard]] KernelFacts host_facts();

/// Tries, plans, and opens. An error when nothing reads listeners or the forced backend can't be
/// had.
[[nodiscard]] Result<Probe> open_probe(const ProbeOptions& options);

}  // namespace listenq
