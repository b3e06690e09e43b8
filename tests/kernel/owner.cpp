// SPDX-License-Identifier: Apache-2.0
// Processes that hold the listeners of the test world: see owner.h.
#include "owner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "process.h"

namespace lqtest {
namespace {

void close_all_but(std::vector<int> keep) {
  keep.insert(keep.end(), {0, 1, 2});
  std::sort(keep.begin(), keep.end());
  unsigned from = 0;
  for (const int fd : keep) {
    if (fd < 0) continue;
    const auto here = static_cast<unsigned>(fd);
    if (here > from) ::close_range(from, here - 1, 0);
    from = here + 1;
  }
  ::close_range(from, ~0U, 0);
}

void report(int fd, const std::string& line) {
  const std::string text = line + "\n";
  (void)!::write(fd, text.data(), text.size());
}

void take_identity(const OwnerOptions& options) {
  ::prctl(PR_SET_NAME, options.name.c_str());
  if (options.netns_fd >= 0) {
    if (::setns(options.netns_fd, CLONE_NEWNET) != 0) throw_errno("setns");
  } else if (::unshare(CLONE_NEWNET) != 0) {
    throw_errno("unshare(CLONE_NEWNET)");
  }
  if (!options.user) return;
  const uid_t user = *options.user;
  if (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0)
    throw_errno("setresuid");
  // Changing user hides /proc/PID/fd even from that user itself; a service manager's exec undoes
  // it.
  ::prctl(PR_SET_DUMPABLE, 1);
}

// The rest of a child's life. With a PID namespace of its own the setup runs one fork further down,
// and only the process in between can tell its pid as the test sees it.
[[noreturn]] void live(const OwnerOptions& options, const std::function<void(OwnerBody&)>& setup,
                       int life_fd, int report_fd) {
  ::signal(SIGPIPE, SIG_IGN);
  OwnerBody body(life_fd, report_fd);
  try {
    if (options.own_pid_namespace) {
      if (::unshare(CLONE_NEWPID) != 0) throw_errno("unshare(CLONE_NEWPID)");
      const pid_t inner = ::fork();
      if (inner < 0) throw_errno("fork");
      if (inner > 0) {
        report(report_fd, fmt::format("pid {}", inner));
        ::close(report_fd);
        ::waitpid(inner, nullptr, 0);
        ::_exit(0);
      }
    }
    take_identity(options);
    setup(body);
    report(report_fd, "ready");
  } catch (const std::exception& error) {
    report(report_fd, fmt::format("error {}", error.what()));
    ::_exit(1);
  }
  ::close(report_fd);
  body.wait_for_the_end();
}

}  // namespace

void OwnerBody::share_with(const std::string& name) {
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid == 0) {
    ::prctl(PR_SET_NAME, name.c_str());
    ::close(report_fd_);
    wait_for_the_end();
  }
  report(report_fd_, fmt::format("sharer {}", pid));
}

void OwnerBody::wait_for_the_end() const {
  char byte = 0;
  while (::read(life_fd_, &byte, 1) > 0) {
  }
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  ::_exit(0);
}

Owner::Owner(const OwnerOptions& options, const std::function<void(OwnerBody&)>& setup) {
  std::array<int, 2> life{};
  std::array<int, 2> reports{};
  if (::pipe2(life.data(), O_CLOEXEC) != 0 || ::pipe2(reports.data(), O_CLOEXEC) != 0)
    throw_errno("pipe2");
  child_ = ::fork();
  if (child_ < 0) throw_errno("fork");
  if (child_ == 0) {
    close_all_but({life[0], reports[1], options.netns_fd, options.keep_fd});
    live(options, setup, life[0], reports[1]);
  }
  life_ = Fd(life[1]);
  pid_ = child_;
  ::close(life[0]);
  ::close(reports[1]);
  const Fd report_fd(reports[0]);
  hear(report_fd.get());
}

void Owner::hear(int report_fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 0; (got = ::read(report_fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<size_t>(got));
  bool ready = false;
  for (const std::string& line : split_lines(text)) {
    if (line.starts_with("pid ")) pid_ = std::stoi(line.substr(4));
    if (line.starts_with("sharer ")) sharers_.push_back(std::stoi(line.substr(7)));
    if (line == "ready") ready = true;
  }
  if (ready) return;
  stop();
  throw std::runtime_error("a process of the test world did not start: " + text);
}

void Owner::stop() {
  if (!life_.valid()) return;
  life_.reset();
  ::waitpid(child_, nullptr, 0);
}

void send_fd(int socket, const Fd& fd) {
  char byte = 'f';
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int raw = fd.get();
  std::memcpy(CMSG_DATA(header), &raw, sizeof(raw));
  if (::sendmsg(socket, &message, 0) != 1) throw_errno("pass a descriptor");
}

Fd receive_fd(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) throw_errno("receive a descriptor");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) throw std::runtime_error("no descriptor came along");
  int raw = -1;
  std::memcpy(&raw, CMSG_DATA(header), sizeof(raw));
  return Fd(raw);
}

}  // namespace lqtest
