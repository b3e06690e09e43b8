// SPDX-License-Identifier: Apache-2.0
//
// Traffic that counting is measured with: SYNs that are refused, whole connections, and bytes of
// established ones, in a pair of network namespaces of its own. Called by counting.cpp.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <string>

namespace listenq::bench {

// What a load did, and what it took.
struct Load {
  double events = 0;
  double wall_s = 0;
  double cpu_s = 0;  // of the thread that made it, the kernel's work for it included
};

double thread_cpu_s();

// Runs `load` in a process of its own, inside a namespace and pinned. It returns how many events it
// made; the clocks run around it alone, not around the fork.
Load in_child(int netns, const std::function<double()>& load);

sockaddr_in address_of(std::uint32_t address, int port);
int listen_on(const sockaddr_in& address, int backlog);
int connect_to(const sockaddr_in& address);
// So that nothing is left in TIME_WAIT, which would fill the kernel's connection hash.
void reset_on_close(int fd);
// Reads all there is, up to the end.
void drain(int fd);
// Bytes that one connection to `target`, accepted from `listener`, takes in that time, with a
// pinned reader in a process of its own.
double send_bulk(const sockaddr_in& target, int listener, double seconds);
// A line of the ip command.
void run_ip(const std::string& line);
// A counter of the namespace of the calling thread: "TcpExt" of netstat, "Tcp" of snmp.
double tcp_counter(const std::string& group, const std::string& name);

class Traffic {
 public:
  Traffic();
  ~Traffic();
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  // SYNs of invented clients to a listener whose SYN queue is full, without cookies, over veth: one
  // thread sends, and the kernel handles them on its CPU. Events are SYNs that it refused.
  Load refused_syns(int count);
  // connect(), accept() and both closes over loopback, all by one pinned thread.
  Load connections(int count);
  // Bytes through one established connection over loopback, a pinned thread at each end.
  Load bulk(double seconds);

 private:
  std::string server_name_;
  std::string client_name_;
  int own_ = -1;
  int server_ = -1;
  int client_ = -1;
  int flood_listener_ = -1;
  int listener_ = -1;
};

}  // namespace listenq::bench
