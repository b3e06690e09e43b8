// SPDX-License-Identifier: Apache-2.0
//
// Named network namespaces as `ip netns add` makes them, without its process per namespace.
// Called by world.cpp (make, enter) and supervisor.cpp (remove).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace listenq::bench {

// Makes /run/netns/<name> with loopback up; the caller stays in its own namespace.
void make_namespace(const std::string& name);
void remove_namespace(const std::string& name);
std::vector<std::string> named_namespaces(const std::string& prefix);

int open_namespace(const std::string& name);
// Moves this process; nothing but the network namespace changes (/sys stays as it was).
void enter_namespace(int fd);

// Writes a file below /proc/sys/net of the namespace this process is in.
void set_sysctl(std::string_view path, std::string_view value);
// Routes 10.0.0.0/8 into loopback, where nobody is: the sink for answers to invented clients.
void route_sink();

}  // namespace listenq::bench
