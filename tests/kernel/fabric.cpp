// SPDX-License-Identifier: Apache-2.0
// Client and servers joined by veth: see fabric.h.
#include "fabric.h"

#include <fmt/format.h>
#include <net/if.h>

#include <stdexcept>

#include "process.h"

namespace lqtest {
namespace {

std::string hardware_text(size_t i, int end) {
  return fmt::format("02:00:00:00:{:02x}:{:02x}", i, end);
}

void must_write(const Netns& space, const std::string& path, const std::string& value) {
  if (!space.write_sysctl(path, value)) throw std::runtime_error(path + " cannot be set");
}

}  // namespace

std::string Fabric::server_address(size_t i, bool v6) {
  return v6 ? fmt::format("fd18:{}::1", i + 1) : fmt::format("198.18.{}.1", i);
}

std::string Fabric::client_address(size_t i, bool v6) {
  return v6 ? fmt::format("fd18:{}::2", i + 1) : fmt::format("198.18.{}.2", i);
}

HardwareAddress Fabric::server_hardware(size_t i) {
  return {2, 0, 0, 0, static_cast<uint8_t>(i), 1};
}

Fabric::Fabric(const std::string& label, size_t servers)
    : client_(std::make_unique<Netns>(Netns::named(label + "c"))) {
  // Nobody answers for what is not here; without forwarding there is no ICMP either. IPv6 would
  // send one for an address without a route.
  client_->ip(
      "route add blackhole 0.0.0.0/0\n"
      "route add blackhole ::/0\n");
  for (size_t i = 0; i < servers; ++i) {
    servers_.push_back(std::make_unique<Netns>(Netns::named(fmt::format("{}{}", label, i))));
    join(i);
  }
}

void Fabric::join(size_t i) {
  const std::string to = fmt::format("to{}", i);
  Netns& server = *servers_[i];
  // Default of every interface made from now on: no duplicate address detection, no router asked.
  for (const Netns* space : {client_.get(), &server}) {
    must_write(*space, "ipv6/conf/default/accept_dad", "0");
    must_write(*space, "ipv6/conf/default/router_solicitations", "0");
    for (const char* device : {"all", "default"})
      must_write(*space, fmt::format("ipv4/conf/{}/rp_filter", device), "0");
  }
  client_->ip(
      fmt::format("link add name {0} address {1} type veth peer name up0 address {2} "
                  "netns {3}\n",
                  to, hardware_text(i, 2), hardware_text(i, 1), server.name()));
  // Neighbours are known for good: no ARP, and none that fails.
  const auto end = [&](const std::string& device, int other, bool at_server) {
    std::string text = fmt::format("link set {} up\n", device);
    for (const bool v6 : {false, true}) {
      const std::string here = at_server ? server_address(i, v6) : client_address(i, v6);
      const std::string there = at_server ? client_address(i, v6) : server_address(i, v6);
      text +=
          fmt::format("addr add {}/{} dev {}{}\n", here, v6 ? 64 : 24, device, v6 ? " nodad" : "");
      text += fmt::format("neigh replace {} lladdr {} dev {} nud permanent\n", there,
                          hardware_text(i, other), device);
      if (at_server) text += fmt::format("route add default via {} dev {}\n", there, device);
    }
    return text;
  };
  client_->ip(end(to, 1, false));
  server.ip(end("up0", 2, true));
  client_->run([&] { interfaces_.push_back(static_cast<int>(::if_nametoindex(to.c_str()))); });
  if (interfaces_.back() == 0) throw std::runtime_error("no interface " + to);
}

}  // namespace lqtest
