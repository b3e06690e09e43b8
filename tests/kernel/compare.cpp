// SPDX-License-Identifier: Apache-2.0
// The tool's rows against those of ss: see compare.h.
#include "compare.h"

#include <fmt/format.h>

#include <algorithm>

namespace lqtest {
namespace {

constexpr int kTries = 8;

std::map<uint64_t, std::map<uint64_t, SsListener>> look(const std::vector<const Netns*>& spaces) {
  std::map<uint64_t, std::map<uint64_t, SsListener>> all;
  for (const Netns* space : spaces) all[space->inode()] = ss_listeners(*space);
  return all;
}

std::string compare_row(const Json& row, const SsListener& ss) {
  std::string text;
  const auto check = [&](const char* field, const Json& want) {
    const Json got = row.value(field, Json("missing"));
    if (got != want) text += fmt::format(" {} is {}, not {};", field, got.dump(), want.dump());
  };
  check("address", ss.address);
  check("port", ss.port);
  check("accept_queue_len", ss.accept_queue_len);
  check("accept_queue_limit", ss.accept_queue_limit);
  check("sk_drops", ss.drops);
  check("inode", ss.inode);
  check("uid", ss.uid);
  // What ss says of a mapped address (an IPv6 socket) leaves open what it serves (IPv4).
  if (!ss.address.starts_with("::ffff:")) check("family", ss.family);
  std::vector<int> pids;
  for (const SsUser& user : ss.users) pids.push_back(user.pid);
  std::sort(pids.begin(), pids.end());
  // A socket that no process of our PID namespace holds: nobody, or somebody we cannot see.
  check("pids", pids.empty() ? Json() : Json(pids));
  check("pid", pids.empty() ? Json() : Json(pids.front()));
  Json process;
  for (const SsUser& user : ss.users)
    if (user.pid == pids.front()) process = user.name;
  check("process", process);
  if (text.empty()) return text;
  return fmt::format("{}:{} (cookie {}):{}\n", ss.address, ss.port, ss.cookie, text);
}

}  // namespace

Witnessed witness(const std::string& backend, const std::vector<const Netns*>& spaces) {
  for (int i = 0; i < kTries; ++i) {
    const auto before = look(spaces);
    Witnessed result{.document = sample(backend), .ss = look(spaces)};
    if (result.document.is_null() || result.ss == before) return result;
  }
  return {};
}

const Witnessed& witnessed_world(const std::string& backend) {
  static std::map<std::string, Witnessed> done;
  const auto found = done.find(backend);
  if (found != done.end()) return found->second;
  std::vector<const Netns*> spaces;
  for (const auto& space : world().namespaces) spaces.push_back(&space->netns);
  return done.emplace(backend, witness(backend, spaces)).first->second;
}

std::string compare_with_ss(const Json& document, uint64_t netns_inode,
                            const std::map<uint64_t, SsListener>& ss) {
  std::string text;
  std::map<uint64_t, int> seen;
  for (const Json& row : rows_of(document, netns_inode)) {
    const Json cookie = row.value("cookie", Json());
    const auto found = cookie.is_number_unsigned() ? ss.find(cookie.get<uint64_t>()) : ss.end();
    if (found == ss.end()) {
      text += fmt::format("only in the tool: {}\n", row.dump());
      continue;
    }
    if (++seen[found->first] > 1) text += fmt::format("twice: {}\n", row.dump());
    text += compare_row(row, found->second);
  }
  for (const auto& [cookie, row] : ss)
    if (!seen.contains(cookie))
      text += fmt::format("only in ss: {}:{} (cookie {})\n", row.address, row.port, cookie);
  return text;
}

std::vector<Json> rows_at(const Json& document, uint64_t netns_inode, const std::string& address,
                          uint16_t port) {
  std::vector<Json> rows;
  for (const Json& row : rows_of(document, netns_inode))
    if (row.value("address", Json()) == address && row.value("port", Json()) == port)
      rows.push_back(row);
  return rows;
}

std::string limit_set_by(uint64_t limit, uint64_t somaxconn) {
  if (limit == somaxconn) return "somaxconn";
  // The kernel's defaults may be what an earlier somaxconn left behind.
  const bool a_default = limit == 128 || limit == 4096;
  return limit < somaxconn && !a_default ? "application" : "unknown";
}

Json syn_queue_limit(uint64_t limit, const Netns& netns) {
  const uint64_t cookies = netns.sysctl("ipv4/tcp_syncookies");
  if (cookies == 2) return nullptr;
  if (cookies == 1) return limit;
  const uint64_t most = netns.sysctl("ipv4/tcp_max_syn_backlog");
  return std::min(limit, most - (most >> 2U));
}

}  // namespace lqtest
