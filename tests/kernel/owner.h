// SPDX-License-Identifier: Apache-2.0
// Processes that hold the listeners of the test world, so that "who should have called accept()"
// has an answer other than the test itself. They do their setup, report ready and then only wait
// for the end of the test.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fd.h"

namespace lqtest {

struct OwnerOptions {
  std::string name{};           // its comm
  int netns_fd = -1;            // -1: a network namespace of its own, which has no name
  std::optional<uid_t> user{};  // drops to this user before the setup
  bool own_pid_namespace = false;
  int keep_fd = -1;  // a descriptor the setup needs; all others of the test are closed
};

// What the setup can do inside the new process. Its exceptions end up in the test.
class OwnerBody {
 public:
  OwnerBody(int life_fd, int report_fd) : life_fd_(life_fd), report_fd_(report_fd) {}

  // The reference holds until close_own().
  const Fd& keep(Fd fd) { return kept_.emplace_back(std::move(fd)); }
  // Forks a process that shares every descriptor kept so far.
  void share_with(const std::string& name);
  void close_own() { kept_.clear(); }

  [[noreturn]] void wait_for_the_end() const;

 private:
  int life_fd_;
  int report_fd_;
  std::deque<Fd> kept_;
};

class Owner {
 public:
  Owner(const OwnerOptions& options, const std::function<void(OwnerBody&)>& setup);
  Owner(Owner&&) noexcept = default;
  Owner& operator=(Owner&&) = delete;
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() { stop(); }

  // As the test sees it, whatever PID namespace it lives in.
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Those made by share_with(), in that order.
  [[nodiscard]] const std::vector<pid_t>& sharers() const { return sharers_; }
  // Ends it and everything it forked.
  void stop();

 private:
  void hear(int report_fd);

  Fd life_;
  pid_t child_ = -1;
  pid_t pid_ = -1;
  std::vector<pid_t> sharers_;
};

// Passing descriptors over a UNIX socket; sending alone leaves them in flight.
void send_fd(int socket, const Fd& fd);
Fd receive_fd(int socket);

}  // namespace lqtest
