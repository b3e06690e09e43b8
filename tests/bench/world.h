// SPDX-License-Identifier: Apache-2.0
//
// A world: network namespaces with sockets, connections and descriptors, held by processes of
// their own while programs are measured in them. Called by plan.cpp.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace listenq::bench {

struct WorldSpec {
  std::string name;           // ends up in the namespace's name
  int listeners = 0;          // exact number, one port each on 127.0.0.1
  int listener_owners = 20;   // processes that share them out
  int sockets = 0;            // established sockets; one loopback connection is two of them
  int extra_descriptors = 0;  // per listener owner: a third eventfds, sockets and files each
  int idle_namespaces = 0;    // further namespaces with one listener each
};

class World {
 public:
  explicit World(WorldSpec spec);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] const std::string& name() const { return prefix_; }  // of its namespace
  [[nodiscard]] int netns() const { return netns_; }

  // One more listener, holding `count` half-open requests from invented clients (0: only the
  // listener, so that both sides of a comparison have the same number of them).
  void hold_half_open(int count);
  void drop_half_open();

 private:
  pid_t hold(int netns, const std::function<void()>& setup);

  WorldSpec spec_;
  std::string prefix_;
  int netns_ = -1;
  std::vector<int> idle_;
  std::vector<pid_t> holders_;
  pid_t half_open_holder_ = -1;
  int half_open_ = 0;
  long sockets_before_ = 0;
};

}  // namespace listenq::bench
