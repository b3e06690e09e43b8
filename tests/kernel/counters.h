// SPDX-License-Identifier: Apache-2.0
// The stage for tests of single counters: one client, one server, and the tool watching with every
// counting backend this kernel has, at once and through all tests. A test provokes an event at a
// listener of its own and says what must have grown; everything else must not have.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fabric.h"
#include "fixture.h"
#include "raw_client.h"
#include "sockets.h"
#include "watch.h"

namespace lqtest {

// By the ids of the fields.
using Growth = std::map<std::string, uint64_t>;

struct CounterStage {
  CounterStage();

  Fabric fabric;
  RawWire wire;
  std::vector<std::unique_ptr<Watch>> watches;
  std::map<std::string, std::string> refusals;  // by backend
  std::map<std::string, Json> last;             // by backend: what all tests so far have led to
};

class Counters : public KernelTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  static CounterStage& stage();
  static Netns& server() { return stage().fabric.server(0); }
  static Netns& client() { return stage().fabric.client(); }
  static std::string address(bool v6 = false) { return Fabric::server_address(0, v6); }
  // The tool with each backend.
  static const std::vector<std::unique_ptr<Watch>>& watches() { return stage().watches; }

  static void set(const std::string& sysctl, const std::string& value);
  // A listener of the test, on all addresses of both families and port().
  size_t listen(int backlog, const std::function<void(ListenerSpec&)>& change = {});
  [[nodiscard]] uint16_t port() const { return port_; }
  Fd& listener(size_t i = 0) { return listeners_.at(i); }
  // The test's connections start here.
  RawConnection connection(bool v6 = false) { return {stage().wire, address(v6), port_}; }
  // So many, finished, and in the accept queue by the word of ss.
  std::vector<RawConnection> establish(int count, bool v6 = false);
  // Waits until the accept queue of the listener has this length, by the word of ss.
  [[nodiscard]] bool queue_has(uint64_t length) const;
  // Waits until so many more segments than at the start of the test have reached TCP in the server.
  [[nodiscard]] bool arrived(uint64_t segments) const;
  // How much the kernel's own counter has grown in this test.
  [[nodiscard]] uint64_t mib_growth(const std::string& name) const;
  Fd accept(bool accept4 = false);

  // The listener has these counts and no others, with every backend; the kernel's own counters of
  // the namespace have grown by what follows from them, and the tool has counted the same.
  void expect(const Growth& wanted);
  // The same of one that has closed. Those of port() that closed earlier in the test come first.
  void expect_closed(const Growth& wanted, size_t which = 0);
  // What follows from the counts, against the kernel's own counters.
  void expect_mib(const Growth& growth);
  // Of the listener; null and a failure when there is not exactly one.
  Json row(const Json& document) const;
  // Of the tools, those that must have this field; the others are named. Empty: skip the test.
  static std::vector<Watch*> watches_with(const std::string& field);
  // What each of the tools says once it says the same twice: see Watch::settled().
  static std::vector<std::pair<Watch*, Json>> settled();
  static std::set<uint64_t> netns() { return {server().inode()}; }

  // Ends the watching tools: for tests that look at what is left of them.
  static void end_stage();
  friend void end_counters();

  std::vector<Fd> listeners_;

 private:
  [[nodiscard]] Growth with_retransmits(Growth growth) const;
  [[nodiscard]] static uint64_t missed_since_last(const std::string& backend, const Json& document);
  void expect_row(const std::string& backend, const Json& row, const Growth& growth,
                  uint64_t missed) const;
  void expect_sums(const std::string& backend, const Json& document) const;

  uint16_t port_ = 0;
  std::map<std::string, int64_t> mib_;
};

inline std::string family_name(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "v6" : "v4";
}

// Call it before main() ends: the stage holds namespaces and programs.
void end_counters();

// Between two documents of the stage's tools.
double counter_interval();
// What a clock reading beside an event may be off by. Emulated machines are slow.
double clock_tolerance();

}  // namespace lqtest
