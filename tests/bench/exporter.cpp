// SPDX-License-Identifier: Apache-2.0
//
// See exporter.h. A sample is taken once at the start of a round and then not for an hour, so that
// the exporter's CPU clock between two moments holds scrapes alone.
#include "exporter.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <optional>

#include "fail.h"
#include "namespace.h"
#include "world.h"

namespace listenq::bench {
namespace {

constexpr std::uint16_t kPort = 9815;
constexpr double kLimitMs = 30'000;

double cpu_ms_of(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    fail("the exporter has ended");
  }
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

double resident_mb(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string word; file >> word;) {
    if (word != "VmRSS:") continue;
    double kilobytes = 0;
    file >> kilobytes;
    return kilobytes / 1024;
  }
  fail("the exporter has ended");
}

// A socket of the namespace: it stays there, whoever uses it.
int connect_in(int netns) {
  const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  enter_namespace(netns);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  enter_namespace(own);
  close(own);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(client);
    return -1;
  }
  return client;
}

int ask(int netns, const std::string& path, const std::string& headers) {
  const int client = connect_in(netns);
  if (client < 0) return -1;
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{}\r\n", path, headers);
  if (write(client, request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
    fail_errno("asking the exporter");
  }
  return client;
}

struct Answer {
  std::size_t bytes = 0;
  bool good = false;
};

Answer read_all(int client) {
  static std::array<char, 1 << 20> buffer;
  Answer answer;
  for (ssize_t got = 0; (got = read(client, buffer.data(), buffer.size())) > 0;) {
    if (answer.bytes == 0) answer.good = std::string_view(buffer.data(), 12) == "HTTP/1.1 200";
    answer.bytes += static_cast<std::size_t>(got);
  }
  close(client);
  return answer;
}

class Exporter {
 public:
  Exporter(const std::string& tool, int netns, const std::string& delay) : netns_(netns) {
    const Command command{.id = "serve", .argv = {tool, "serve", "--netns", "self", "-d", delay}};
    pid_ = start(command, netns);
    const double began = now_ms();
    while (true) {
      const int client = ask(netns_, "/-/ready", "");
      if (client >= 0 && read_all(client).good) return;
      if (now_ms() - began > kLimitMs) fail("the exporter does not get ready");
      usleep(10'000);
    }
  }
  ~Exporter() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  int netns_;
  pid_t pid_ = -1;
};

struct Form {
  std::string what;
  std::string headers;
  bool once = false;  // of each page: later ones find it compressed
  std::vector<double> cpu_ms{};
  std::vector<double> wall_ms{};
  std::size_t bytes = 0;
};

void scrape(int netns, const Exporter& exporter, Form& form) {
  const double cpu = cpu_ms_of(exporter.pid());
  const double began = now_ms();
  const int client = ask(netns, "/metrics", form.headers);
  if (client < 0) fail_errno("connecting to the exporter");
  const Answer answer = read_all(client);
  if (!answer.good) fail("the exporter answers something else than 200");
  form.wall_ms.push_back(now_ms() - began);
  form.cpu_ms.push_back(cpu_ms_of(exporter.pid()) - cpu);
  form.bytes = answer.bytes;
}

std::vector<Form> forms() {
  const std::string openmetrics = "Accept: application/openmetrics-text;version=1.0.0\r\n";
  const std::string gzip = "Accept-Encoding: gzip\r\n";
  return {{.what = "gzip, the first scrape of a sample", .headers = gzip, .once = true},
          {.what = "gzip, a further scrape of the same sample", .headers = gzip},
          {.what = "OpenMetrics, gzip, the first scrape of a sample",
           .headers = openmetrics + gzip,
           .once = true},
          {.what = "plain text", .headers = ""},
          {.what = "OpenMetrics, plain", .headers = openmetrics}};
}

// Readers that take a little and stop, one a sample, so that each holds another page.
double with_slow_readers(const std::string& tool, int netns, int readers) {
  const Exporter exporter(tool, netns, "0.1");
  std::vector<int> clients;
  std::array<char, 1000> little{};
  double most = 0;
  for (int i = 0; i < readers; ++i) {
    const int client = ask(netns, "/metrics", "");
    if (client < 0 || read(client, little.data(), little.size()) <= 0) break;
    clients.push_back(client);
    usleep(100'000);
    most = std::max(most, resident_mb(exporter.pid()));
  }
  if (clients.size() != static_cast<std::size_t>(readers)) fail("a slow reader was not served");
  for (const int client : clients) close(client);
  return most;
}

}  // namespace

ExporterResult measure_exporter(const std::string& tool, const ExporterSizes& sizes,
                                int listeners) {
  const World world({.name = "exporter", .listeners = listeners});
  std::vector<Form> all = forms();
  std::vector<double> idle;
  ExporterResult result;
  result.listeners = listeners;
  for (int round = 0; round < sizes.rounds; ++round) {
    const Exporter exporter(tool, world.netns(), "3600");
    for (Form& form : all) {
      for (int i = 0; i < (form.once ? 1 : sizes.scrapes); ++i) {
        scrape(world.netns(), exporter, form);
      }
    }
  }
  for (int round = 0; round < sizes.rounds; ++round) {
    const Exporter exporter(tool, world.netns(), "1");
    const double cpu = cpu_ms_of(exporter.pid());
    const double began = now_ms();
    usleep(static_cast<useconds_t>(sizes.idle_seconds) * 1'000'000);
    idle.push_back((cpu_ms_of(exporter.pid()) - cpu) / (now_ms() - began) * 100);
    result.idle_mb = std::max(result.idle_mb, resident_mb(exporter.pid()));
    for (Form form : all) {
      scrape(world.netns(), exporter, form);
      usleep(1'000'000);  // the next one is of another sample
      result.scraped_mb = std::max(result.scraped_mb, resident_mb(exporter.pid()));
    }
  }
  result.idle_percent = spread_of(idle);
  result.slow_readers_mb = with_slow_readers(tool, world.netns(), sizes.slow_readers);
  for (const Form& form : all) {
    result.scrapes.push_back({.what = form.what,
                              .cpu_ms = spread_of(form.cpu_ms),
                              .wall_ms = spread_of(form.wall_ms),
                              .megabytes = static_cast<double>(form.bytes) / 1e6});
  }
  return result;
}

}  // namespace listenq::bench
