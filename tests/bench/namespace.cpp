// SPDX-License-Identifier: Apache-2.0
//
// Named network namespaces: a bind mount of /proc/self/ns/net, as iproute2 does it, so that
// `ss -N` and the tool find them by name.
#include "namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "fail.h"

namespace listenq::bench {
namespace {

constexpr const char* kDirectory = "/run/netns";

std::string path_of(const std::string& name) {
  return fmt::format("{}/{}", kDirectory, name);
}

// Shared propagation, as iproute2 sets it, so that other mount namespaces see the removal.
void prepare_directory() {
  mkdir(kDirectory, 0755);
  if (mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) == 0) return;
  if (mount(kDirectory, kDirectory, "none", MS_BIND | MS_REC, nullptr) != 0 ||
      mount("", kDirectory, "none", MS_SHARED | MS_REC, nullptr) != 0) {
    fail_errno("preparing {}", kDirectory);
  }
}

void bring_loopback_up() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) fail_errno("bringing lo up");
  close(fd);
}

}  // namespace

void make_namespace(const std::string& name) {
  static const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  static const bool prepared = (prepare_directory(), true);
  if (own < 0 || !prepared) fail_errno("opening the own network namespace");
  const std::string path = path_of(name);
  const int file = open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (file < 0) fail_errno("creating {}", path);
  close(file);
  if (unshare(CLONE_NEWNET) != 0) fail_errno("unshare of the network namespace");
  if (mount("/proc/self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) {
    fail_errno("mounting {}", path);
  }
  bring_loopback_up();
  enter_namespace(own);
}

void remove_namespace(const std::string& name) {
  const std::string path = path_of(name);
  umount2(path.c_str(), MNT_DETACH);
  unlink(path.c_str());
}

std::vector<std::string> named_namespaces(const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kDirectory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

int open_namespace(const std::string& name) {
  const int fd = open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_errno("opening namespace {}", name);
  return fd;
}

void enter_namespace(int fd) {
  if (setns(fd, CLONE_NEWNET) != 0) fail_errno("entering a network namespace");
}

void set_sysctl(std::string_view path, std::string_view value) {
  const std::string full = fmt::format("/proc/sys/net/{}", path);
  const int fd = open(full.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, value.data(), value.size()) < 0) fail_errno("writing {}", full);
  close(fd);
}

void route_sink() {
  const auto fill = [](sockaddr& target, const char* text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, text, &address.sin_addr);
    std::memcpy(&target, &address, sizeof(address));
  };
  char device[] = "lo";
  rtentry route{};
  fill(route.rt_dst, "10.0.0.0");
  fill(route.rt_genmask, "255.0.0.0");
  route.rt_flags = RTF_UP;
  route.rt_dev = device;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || (ioctl(fd, SIOCADDRT, &route) != 0 && errno != EEXIST)) {
    fail_errno("adding the route of the sink");
  }
  close(fd);
}

}  // namespace listenq::bench
