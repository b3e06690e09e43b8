// SPDX-License-Identifier: Apache-2.0
// Network namespaces of the tests: see netns.h.
#include "netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "process.h"

namespace lqtest {
namespace {

constexpr const char* kNameDirectory = "/run/netns";

// The pid of the test itself, also in the janitor and in forked children.
pid_t test_pid() {
  static const pid_t pid = ::getpid();
  return pid;
}

std::string scratch_path() {
  return fmt::format("/tmp/lq-test-{}", test_pid());
}

void in_thread(const std::function<void()>& work) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void bring_loopback_up() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof(request.ifr_name) - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) throw_errno("lo up");
}

// A new namespace, mounted on `path`. The mount is what keeps it once the thread is gone.
Fd make_namespace(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.valid()) throw_errno("create " + path);
  in_thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) throw_errno("unshare(CLONE_NEWNET)");
    if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0)
      throw_errno("mount on " + path);
    bring_loopback_up();
  });
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) throw_errno("open " + path);
  return fd;
}

// `ip netns add` makes /run/netns a shared mount of its own; let it do so once, before namespaces
// are added there by hand, so that it does not later copy their mounts.
void prepare_name_directory() {
  static bool done = false;
  if (done) return;
  const std::string name = fmt::format("lq-first-{}", test_pid());
  const RunResult added = run_program({"ip", "netns", "add", name});
  if (added.status != 0) throw std::runtime_error("ip netns add: " + added.err);
  run_program({"ip", "netns", "del", name});
  done = true;
}

Fd janitor_pipe;
pid_t janitor_pid = -1;

[[noreturn]] void be_janitor(int read_end, pid_t test) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  char byte = 0;
  while (::read(read_end, &byte, 1) > 0) {
  }
  std::error_code ignored;
  const std::string suffix = fmt::format("-{}", test);
  for (const auto& entry : std::filesystem::directory_iterator(kNameDirectory, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("lq-") || !name.ends_with(suffix)) continue;
    ::umount2(entry.path().c_str(), MNT_DETACH);
    ::unlink(entry.path().c_str());
  }
  for (const auto& entry : std::filesystem::directory_iterator(scratch_path(), ignored))
    ::umount2(entry.path().c_str(), MNT_DETACH);
  std::filesystem::remove_all(scratch_path(), ignored);
  ::_exit(0);
}

}  // namespace

Netns::Netns(std::string name, std::string mount, Fd fd)
    : name_(std::move(name)), mount_(std::move(mount)), fd_(std::move(fd)) {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) throw_errno("fstat of a namespace");
  inode_ = status.st_ino;
}

Netns::Netns(Netns&& other) noexcept
    : name_(std::move(other.name_)),
      mount_(std::exchange(other.mount_, "")),
      fd_(std::move(other.fd_)),
      inode_(other.inode_) {}

Netns Netns::named(const std::string& label) {
  prepare_name_directory();
  const std::string name = fmt::format("lq-{}-{}", label, test_pid());
  const std::string path = fmt::format("{}/{}", kNameDirectory, name);
  return {name, path, make_namespace(path)};
}

Netns Netns::bound_to(const std::string& path) {
  return {path.substr(path.rfind('/') + 1), path, make_namespace(path)};
}

Netns Netns::of_process(pid_t pid) {
  return at(fmt::format("/proc/{}/ns/net", pid));
}

Netns Netns::at(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) throw_errno("open " + path);
  return {"", "", std::move(fd)};
}

Netns Netns::initial() {
  return of_process(test_pid());
}

void Netns::run(const std::function<void()>& work) const {
  in_thread([&] {
    if (::setns(fd_.get(), CLONE_NEWNET) != 0) throw_errno("setns");
    work();
  });
}

std::string Netns::read(const std::string& path) const {
  std::string text;
  run([&] { text = read_file(path); });
  return text;
}

bool Netns::write_sysctl(const std::string& path, const std::string& value) const {
  bool fine = false;
  run([&] {
    std::ofstream file("/proc/sys/net/" + path);
    file << value << std::flush;
    fine = file.good();
  });
  return fine;
}

uint64_t Netns::sysctl(const std::string& path) const {
  return std::stoull(read("/proc/sys/net/" + path));
}

std::map<std::string, int64_t> Netns::mib() const {
  std::map<std::string, int64_t> values;
  for (const char* file : {"/proc/thread-self/net/netstat", "/proc/thread-self/net/snmp"}) {
    const std::vector<std::string> lines = split_lines(read(file));
    for (size_t i = 0; i + 1 < lines.size(); i += 2) {
      const std::vector<std::string> names = split_words(lines[i]);
      const std::vector<std::string> numbers = split_words(lines[i + 1]);
      if (names.empty() || names.size() != numbers.size()) continue;
      if (names[0] != "TcpExt:" && names[0] != "MPTcpExt:" && names[0] != "Tcp:") continue;
      for (size_t k = 1; k < names.size(); ++k) values[names[k]] = std::stoll(numbers[k]);
    }
  }
  return values;
}

void Netns::ip(const std::string& commands) const {
  const std::string file = scratch_directory() + "/ip-batch";
  std::ofstream(file) << commands;
  RunOptions options;
  options.netns_fd = fd_.get();
  const RunResult result = run_program({"ip", "-batch", file}, options);
  if (result.status != 0) throw std::runtime_error("ip: " + result.err);
}

void Netns::add_silent_interface() const {
  // dummy where there is one; an ifb drops what nobody redirected to it. Neither resolves
  // neighbours (arp off): an ARP timeout would come back as ICMP and remove the half-open request.
  try {
    ip("link add silent0 type dummy\n");
  } catch (const std::runtime_error&) {
    ip("link add silent0 type ifb\n");
  }
  ip("link set silent0 arp off up\n"
     "addr add 10.77.0.1/16 dev silent0\n"
     "addr add fd77::1/64 dev silent0 nodad\n"
     "addr add fe80::77/64 dev silent0 nodad\n");
  // Spoofed packets come in over lo though their source is behind silent0.
  for (const char* device : {"all", "default", "lo", "silent0"})
    if (!write_sysctl(fmt::format("ipv4/conf/{}/rp_filter", device), "0"))
      throw std::runtime_error("rp_filter cannot be set");
}

void Netns::remove() {
  fd_.reset();
  if (mount_.empty()) return;
  ::umount2(mount_.c_str(), MNT_DETACH);
  ::unlink(mount_.c_str());
  mount_.clear();
}

void mount_in_own_namespace(const std::string& path) {
  if (::unshare(CLONE_NEWNS) != 0) throw_errno("unshare(CLONE_NEWNS)");
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw_errno("make private");
  make_namespace(path);
}

void start_janitor() {
  const pid_t test = test_pid();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  janitor_pid = ::fork();
  if (janitor_pid < 0) throw_errno("fork");
  if (janitor_pid == 0) {
    ::close(ends[1]);
    be_janitor(ends[0], test);
  }
  ::close(ends[0]);
  janitor_pipe = Fd(ends[1]);
}

void finish_janitor() {
  janitor_pipe.reset();
  if (janitor_pid > 0) ::waitpid(janitor_pid, nullptr, 0);
  janitor_pid = -1;
}

int janitor_fd() {
  return janitor_pipe.get();
}

std::string scratch_directory() {
  std::filesystem::create_directories(scratch_path());
  ::chmod(scratch_path().c_str(), 0755);
  return scratch_path();
}

}  // namespace lqtest
