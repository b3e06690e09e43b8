// SPDX-License-Identifier: Apache-2.0
// The storm: listeners of every size in three namespaces, real clients and a SYN flood at all of
// them, while some accept, some do not, and some close. It only makes events; storm_test.cpp says
// what the tool must have counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fabric.h"
#include "flood.h"
#include "owner.h"
#include "sockets.h"

namespace lqtest {

// How many SYNs the flood sends: $LISTENQ_STORM_SYNS, else 200,000, or 20,000 under emulation.
uint64_t storm_size();

class Storm {
 public:
  static constexpr size_t kServers = 3;
  // The port of a SO_REUSEPORT group.
  static constexpr uint16_t kGroup = 9006;

  Storm();
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;
  ~Storm();

  [[nodiscard]] Netns& server(size_t i) { return fabric_.server(i); }
  [[nodiscard]] size_t listeners() const { return opened_; }

  // A few losses in every namespace, which are nobody's business who starts to watch later.
  void earlier_losses();
  // Two rounds, the second with other settings. Listeners close, and open anew, in each.
  void run(uint64_t syns);
  // Ends what goes on by itself (clients that try again, requests that wait), until the kernel's
  // counters hold still.
  void calm();

  [[nodiscard]] uint64_t syns_sent() const { return sent_; }
  [[nodiscard]] uint64_t connects() const { return connects_; }
  [[nodiscard]] uint64_t acks() const { return acks_; }
  // What accept() returned to those that take connections, by server and port.
  using Taken = std::map<std::pair<size_t, uint16_t>, std::atomic<uint64_t>>;
  [[nodiscard]] const Taken& taken() const { return taken_; }

 private:
  void apply_settings(size_t round);
  void run_round(size_t round, uint64_t syns);
  void open_all(size_t server);
  void open(size_t server, const ListenerSpec& spec);
  void open_accepting(size_t server, const ListenerSpec& spec, bool slowly);
  void open_in_process(size_t server, const ListenerSpec& spec);
  // Of the listeners that close midway.
  void close_some(size_t round);
  void reopen_some(size_t round);
  // Final ACKs to a full accept queue, at a listener that the flood leaves alone.
  void lose_at_the_ack(size_t server);
  void be_clients(unsigned number, uint64_t count);

  Fabric fabric_;
  std::vector<FloodTarget> targets_;
  // By server and port; several of a group.
  std::multimap<std::pair<size_t, uint16_t>, Fd> idle_;
  std::vector<Owner> owners_;
  std::atomic<bool> over_{false};
  std::vector<std::unique_ptr<Fd>> accepting_;
  std::vector<std::thread> acceptors_;
  Taken taken_;
  std::vector<std::unique_ptr<Flood>> floods_;
  size_t opened_ = 0;
  uint64_t sent_ = 0;
  std::atomic<uint64_t> connects_{0};
  std::atomic<uint64_t> acks_{0};
};

}  // namespace lqtest
