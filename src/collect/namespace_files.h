// SPDX-License-Identifier: Apache-2.0
//
// What /proc tells of the network namespace that the calling thread is in: its settings and its MIB
// counters. The collector reads them beside the listeners.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/sample.h"

namespace listenq {

/// A file that is not there (an older kernel) leaves its member absent.
[[nodiscard]] Sysctls read_sysctls(const std::string& proc);

/// nullopt when neither file can be read. Only the counters that concern listeners.
[[nodiscard]] std::optional<MibCounters> read_mib(const std::string& proc);

/// The counters that concern listeners, out of the text of /proc/net/netstat or snmp: pairs of
/// lines, the names and then the values. Appends in the order of the file.
void parse_mib(std::string_view text, MibCounters& counters);

}  // namespace listenq
