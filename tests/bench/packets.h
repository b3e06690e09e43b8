// SPDX-License-Identifier: Apache-2.0
//
// TCP segments of invented clients, as bytes. Called by world.cpp and traffic.cpp.
#pragma once

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

#include <cstdint>

namespace listenq::bench {

struct Packet {
  iphdr ip;
  tcphdr tcp;
};

// From port 40000 of `source`: the SYN that opens its request, or the RST that ends it.
Packet client_packet(std::uint32_t source, const sockaddr_in& target, bool reset);

}  // namespace listenq::bench
