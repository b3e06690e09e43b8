// SPDX-License-Identifier: Apache-2.0
//
// Traffic that counting is measured with: SYNs that are refused, whole connections, and bytes of
// established ones, in a pair of network namespaces of its own. Called by counting.cpp.
#pragma once

#include <functional>
#include <string>

namespace listenq::bench {

// What a load did, and what it took.
struct Load {
  double events = 0;
  double wall_s = 0;
  double cpu_s = 0;  // of the thread that made it, the kernel's work for it included
};

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
  Load in_child(const std::function<double()>& load) const;

  std::string server_name_;
  std::string client_name_;
  int own_ = -1;
  int server_ = -1;
  int client_ = -1;
  int flood_listener_ = -1;
  int listener_ = -1;
};

}  // namespace listenq::bench
