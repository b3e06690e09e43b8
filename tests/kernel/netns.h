// SPDX-License-Identifier: Apache-2.0
// Network namespaces of the tests: made, entered, read and removed. Their names start with `lq-`
// and end with the pid of the test; the janitor removes what is left when the test ends, however it
// ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "fd.h"

namespace lqtest {

class Netns {
 public:
  Netns(Netns&& other) noexcept;
  Netns& operator=(Netns&&) = delete;
  Netns(const Netns&) = delete;
  Netns& operator=(const Netns&) = delete;
  ~Netns() { remove(); }

  // `lq-<label>-<pid>`, with a name under /run/netns, as `ip netns add` makes it. Loopback is up.
  static Netns named(const std::string& label);
  // Held by a bind mount on `path` alone, which `ip netns` knows nothing about. Container engines
  // do so; the last part of the path is its name.
  static Netns bound_to(const std::string& path);
  // One that another holds, by a path to it.
  static Netns at(const std::string& path);
  // The namespace of a living process.
  static Netns of_process(pid_t pid);
  // The one the test itself was started in.
  static Netns initial();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] uint64_t inode() const { return inode_; }

  // Runs `work` in a thread that has entered the namespace; its exceptions arrive here.
  void run(const std::function<void()>& work) const;

  [[nodiscard]] std::string read(const std::string& path) const;
  // `path` below /proc/sys/net; true when the kernel has it.
  [[nodiscard]] bool write_sysctl(const std::string& path, const std::string& value) const;
  [[nodiscard]] uint64_t sysctl(const std::string& path) const;
  // The kernel's own names of /proc/net/netstat and snmp: TcpExt, MPTcpExt and Tcp.
  [[nodiscard]] std::map<std::string, int64_t> mib() const;

  // Runs `ip` inside with these commands (its -batch form); throws with ip's words on failure.
  void ip(const std::string& commands) const;
  // An interface `silent0` that swallows what is sent (10.77.0.1/16, fd77::1/64, fe80::77/64):
  // SYN-ACKs to spoofed sources behind it are never answered, not even by ARP or ICMP.
  void add_silent_interface() const;

  // Takes the mount away, and the descriptor: nothing of the test holds it then.
  void remove();

 private:
  Netns(std::string name, std::string mount, Fd fd);

  std::string name_;   // empty if it has none
  std::string mount_;  // where it is bind-mounted; empty if it is not ours to remove
  Fd fd_;
  uint64_t inode_ = 0;
};

// Takes the calling process into a mount namespace of its own, where a bind mount on `path` then
// holds a new network namespace. No other mount namespace sees it.
void mount_in_own_namespace(const std::string& path);

// Forks a process that waits for the end of this one and then removes every namespace and directory
// of this test. Call it first in main(), then at the end finish_janitor() to wait for it.
void start_janitor();
void finish_janitor();
// The descriptor that keeps the janitor waiting: forked children close it.
int janitor_fd();

// A directory of this test, world-readable, removed by the janitor.
std::string scratch_directory();

}  // namespace lqtest
