// SPDX-License-Identifier: Apache-2.0
//
// See namespace_files.h.
#include "collect/namespace_files.h"

#include <algorithm>
#include <array>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

/// By the names in include/uapi/linux/snmp.h and net/ipv4/proc.c.
constexpr std::array<std::string_view, 20> kWanted = {
    "ListenOverflows",
    "ListenDrops",
    "TCPReqQFullDrop",
    "TCPReqQFullDoCookies",
    "SyncookiesSent",
    "SyncookiesRecv",
    "SyncookiesFailed",
    "EmbryonicRsts",
    "TCPDeferAcceptDrop",
    "TCPBacklogDrop",
    "TCPTimeouts",
    "TCPSynRetrans",
    "TCPFastOpenPassive",
    "TCPFastOpenPassiveFail",
    "TCPFastOpenListenOverflow",
    "TCPFastOpenCookieReqd",
    "TCPMigrateReqSuccess",
    "TCPMigrateReqFailure",
    "PassiveOpens",
    "AttemptFails",
};

bool wanted(std::string_view name) {
  return std::find(kWanted.begin(), kWanted.end(), name) != kWanted.end();
}

/// The next word of a line, "" at its end.
std::string_view next_word(std::string_view& line) {
  const std::size_t start = std::min(line.find_first_not_of(' '), line.size());
  line.remove_prefix(start);
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

std::optional<std::int64_t> read_number(const std::string& path) {
  const auto text = read_small_file(path);
  return text ? parse_integer(*text) : std::nullopt;
}

}  // namespace

Sysctls read_sysctls(const std::string& proc) {
  const std::string core = proc + "/sys/net/core/";
  const std::string ipv4 = proc + "/sys/net/ipv4/";
  Sysctls sysctls;
  sysctls.somaxconn = read_number(core + "somaxconn");
  sysctls.tcp_max_syn_backlog = read_number(ipv4 + "tcp_max_syn_backlog");
  sysctls.tcp_syncookies = read_number(ipv4 + "tcp_syncookies");
  sysctls.tcp_abort_on_overflow = read_number(ipv4 + "tcp_abort_on_overflow");
  sysctls.tcp_synack_retries = read_number(ipv4 + "tcp_synack_retries");
  sysctls.tcp_migrate_req = read_number(ipv4 + "tcp_migrate_req");
  return sysctls;
}

void parse_mib(std::string_view text, MibCounters& counters) {
  while (!text.empty()) {
    const std::size_t names_end = text.find('\n');
    if (names_end == std::string_view::npos) return;
    std::string_view names = text.substr(0, names_end);
    text.remove_prefix(names_end + 1);
    const std::size_t values_end = std::min(text.find('\n'), text.size());
    std::string_view values = text.substr(0, values_end);
    text.remove_prefix(std::min(values_end + 1, text.size()));
    // "TcpExt: SyncookiesSent ..." over "TcpExt: 0 ..."
    const std::string_view group = next_word(names);
    if (next_word(values) != group || (group != "TcpExt:" && group != "Tcp:")) continue;
    for (std::string_view name = next_word(names); !name.empty(); name = next_word(names)) {
      const std::string_view value = next_word(values);
      if (!wanted(name)) continue;
      if (const auto number = parse_integer(value)) {
        counters.emplace_back(name, static_cast<std::uint64_t>(*number));
      }
    }
  }
}

std::optional<MibCounters> read_mib(const std::string& proc) {
  const auto netstat = read_small_file(proc + "/thread-self/net/netstat");
  const auto snmp = read_small_file(proc + "/thread-self/net/snmp");
  if (!netstat && !snmp) return std::nullopt;
  MibCounters counters;
  counters.reserve(kWanted.size());
  if (netstat) parse_mib(*netstat, counters);
  if (snmp) parse_mib(*snmp, counters);
  return counters;
}

}  // namespace listenq
