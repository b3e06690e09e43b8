// SPDX-License-Identifier: Apache-2.0
//
// See plan.h.
#include "probe/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

constexpr std::array<std::string_view, kFeatures> kFeatureNames = {
    "sock_diag",       "bpf",
    "light_skeleton",  "cookie_helper",
    "iter_tcp",        "iter_task_file",
    "iter_sk_storage", "init_pid_namespace",
    "namespaces",
};

constexpr std::array kIterGroup = {Feature::iter_tcp, Feature::iter_task_file,
                                   Feature::iter_sk_storage};

constexpr std::array<std::string_view, 6> kBackendNames = {"auto",     "fentry", "kprobe",
                                                           "portable", "iter",   "diag"};

/// One way to feed a need. For each need the first row wins whose backend is the chosen one and
/// whose features are all there.
struct Way {
  Need need;
  std::vector<BackendChoice> backends;  ///< empty: any
  std::vector<Feature> features;
  std::string_view feeds;
};

const std::vector<Way>& ways() {
  using enum Feature;
  constexpr auto kIter = BackendChoice::iter;
  constexpr auto kDiag = BackendChoice::diag;
  static const std::vector<Way> table = {
      {Need::listener, {kIter}, {sock_diag}, "sock_diag, state LISTEN alone; lengths from BPF"},
      {Need::listener, {kIter}, {iter_tcp}, "BPF iter/tcp, up to the first connection"},
      {Need::listener, {kDiag}, {sock_diag}, "sock_diag, state LISTEN alone"},
      {Need::sk_drops, {kIter}, {}, "struct sock sk_drops, by BPF"},
      {Need::sk_drops, {kDiag}, {sock_diag}, "sock_diag INET_DIAG_SKMEMINFO"},
      {Need::syn_queue,
       {kIter},
       {iter_sk_storage},
       "icsk_accept_queue, by BPF iter/bpf_sk_storage_map over marked listeners"},
      {Need::syn_queue, {kIter}, {iter_tcp}, "icsk_accept_queue, by BPF iter/tcp"},
      {Need::owner, {kIter}, {iter_task_file, init_pid_namespace}, "BPF iter/task_file"},
      {Need::owner, {}, {}, "/proc/PID/fd of the processes that we may look into"},
      {Need::cgroup, {}, {}, "/proc/PID/cgroup of the owner; else the socket's own cgroup"},
      {Need::sysctl, {}, {}, "/proc/sys/net of the namespace"},
      {Need::watching, {}, {}, "two samples or more (-b, or the screen)"},
  };
  return table;
}

std::string_view nothing_feeds(Need need) {
  switch (need) {
    case Need::syn_queue:
      return "sock_diag does not tell the SYN queue";
    case Need::listen_call:
      return "needs a backend that sees listen() (fentry, kprobe, portable): not in this version";
    case Need::counters:
      return "needs a backend that counts events (fentry, kprobe, portable): not in this version";
    case Need::latency:
      return "needs a backend that times events (fentry, kprobe): not in this version";
    default:
      return "nothing here reads it";
  }
}

Feed feed_for(Need need, BackendChoice backend, const KernelFacts& facts) {
  std::string missing;
  for (const Way& way : ways()) {
    const bool applies = way.backends.empty() || std::find(way.backends.begin(), way.backends.end(),
                                                           backend) != way.backends.end();
    if (way.need != need || !applies) continue;
    const auto lacking = std::find_if(way.features.begin(), way.features.end(),
                                      [&](Feature feature) { return !facts[feature].have; });
    if (lacking == way.features.end()) return {std::string(way.feeds), ""};
    missing = fmt::format("{}: {}", feature_name(*lacking), facts[*lacking].why_not);
  }
  return {"", missing.empty() ? std::string(nothing_feeds(need)) : missing};
}

/// Why the iter backend can't be had; empty: it can.
std::string iter_impossible(const KernelFacts& facts) {
  if (!facts[Feature::bpf].have) return facts[Feature::bpf].why_not;
  if (facts[Feature::iter_tcp].have) return "";
  const std::string& why_not = facts[Feature::iter_tcp].why_not;
  return why_not.empty() ? "it was not tried" : why_not;
}

}  // namespace

std::string_view feature_name(Feature feature) {
  return kFeatureNames[static_cast<std::size_t>(feature)];
}

std::string_view backend_name(BackendChoice choice) {
  return kBackendNames[static_cast<std::size_t>(choice)];
}

Result<std::vector<Feature>> parse_features(std::string_view list) {
  std::vector<Feature> features;
  for (const std::string_view name : split(list, ',')) {
    if (name == "iter") {
      features.insert(features.end(), kIterGroup.begin(), kIterGroup.end());
      continue;
    }
    const auto found = std::find(kFeatureNames.begin(), kFeatureNames.end(), name);
    if (found == kFeatureNames.end()) {
      return failure(ErrorKind::usage,
                     fmt::format("--no-feature: there is no feature '{}'; choose from iter, {}",
                                 printable(name), fmt::join(kFeatureNames, ", ")));
    }
    features.push_back(static_cast<Feature>(std::distance(kFeatureNames.begin(), found)));
  }
  return features;
}

Result<BackendChoice> parse_backend(std::string_view name) {
  const auto found = std::find(kBackendNames.begin(), kBackendNames.end(), name);
  if (found == kBackendNames.end()) {
    return failure(ErrorKind::usage,
                   fmt::format("--backend: there is no backend '{}'; choose from {}",
                               printable(name), fmt::join(kBackendNames, ", ")));
  }
  return static_cast<BackendChoice>(std::distance(kBackendNames.begin(), found));
}

Result<Plan> make_plan(const KernelFacts& facts, BackendChoice choice) {
  const std::string no_iter = iter_impossible(facts);
  Plan plan;
  switch (choice) {
    case BackendChoice::fentry:
    case BackendChoice::kprobe:
    case BackendChoice::portable:
      return failure(ErrorKind::unsupported,
                     fmt::format("backend {} is not in this version; use --backend iter or diag",
                                 backend_name(choice)));
    case BackendChoice::iter:
      if (!no_iter.empty()) {
        return failure(
            ErrorKind::unsupported,
            fmt::format("backend iter can't be used: {}; --backend diag needs none of it",
                        no_iter));
      }
      plan.backend = BackendChoice::iter;
      break;
    case BackendChoice::automatic:
      plan.backend = no_iter.empty() ? BackendChoice::iter : BackendChoice::diag;
      plan.why_not_better = no_iter;
      break;
    case BackendChoice::diag:
      plan.backend = BackendChoice::diag;
      break;
  }
  if (plan.backend == BackendChoice::diag && !facts[Feature::sock_diag].have) {
    return failure(
        ErrorKind::unsupported,
        no_iter.empty() || choice == BackendChoice::diag
            ? fmt::format("backend diag can't be used: {}", facts[Feature::sock_diag].why_not)
            : fmt::format("no way to read listeners here: iter: {}; diag: {}", no_iter,
                          facts[Feature::sock_diag].why_not));
  }
  for (std::size_t i = 0; i < kNeeds; ++i) {
    plan.feeds[i] = feed_for(static_cast<Need>(i), plan.backend, facts);
  }
  plan.owners_from_bpf = plan.backend == BackendChoice::iter &&
                         facts[Feature::iter_task_file].have &&
                         facts[Feature::init_pid_namespace].have;
  return plan;
}

}  // namespace listenq
