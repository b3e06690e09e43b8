// SPDX-License-Identifier: Apache-2.0
//
// The loop around libmicrohttpd: accepts clients, hands them to one of two daemons (with TLS and
// without), ends those that take too long. libmicrohttpd gets no listening socket: so the limit on
// connections holds over all of them, and another config needs no other daemon.
#include "web/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "util/clock.h"
#include "web/client.h"
#include "web/http_daemon.h"
#include "web/libraries.h"
#include "web/passwords.h"
#include "web/requests.h"
#include "web/tls.h"

namespace listenq::web {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000U;

/// While there is no place for another client, those that say nothing keep theirs only so long.
constexpr std::uint64_t kPatienceWhenFull = kSecond;

/// Between two looks at clients in the middle of a TLS handshake: doubled until then.
constexpr std::uint64_t kShortestPause = 1'000'000U;
constexpr std::uint64_t kLongestPause = kSecond;

/// Of the same thing.
constexpr std::uint64_t kBetweenComplaints = 60 * kSecond;

/// Clients taken up in one run().
constexpr unsigned kAcceptAtOnce = 64;

Error system_error(const char* what) {
  return {ErrorKind::unsupported, std::string(what) + ": " + errno_text(errno)};
}

/// Whether there is nothing to read any more, and nothing to answer. libmicrohttpd misses the end
/// of a client that sends it together with its last request.
bool gone(const Client& client) {
  if (client.phase == Client::Phase::answering) return false;
  char byte = 0;
  return ::recv(client.fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

class WebServer final : public Server, private DaemonEvents {
 public:
  WebServer(const Libraries& libraries, std::function<void(const std::string&)> log,
            const ServerLimits& limits)
      : libraries_(libraries), log_(std::move(log)), limits_(limits) {}
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;
  ~WebServer() override;

  [[nodiscard]] Result<void> open(std::vector<Fd> sockets, WebConfig config, Handler handler);

  [[nodiscard]] int fd() const override { return epoll_.get(); }
  void run() override;
  [[nodiscard]] Result<void> apply(WebConfig config) override;

 private:
  Exchange& begun(Client& client, MHD_Connection* connection) override;
  MHD_Result handle(Exchange& exchange, const char* url, const char* method,
                    const char* version) override;
  void completed(Exchange& exchange, bool whole) override;
  void closed(Client& client) override;

  [[nodiscard]] Result<void> watch(int fd);
  [[nodiscard]] HttpDaemon* daemon_for_new();
  void accept_clients();
  bool accept_one(const Fd& socket);
  [[nodiscard]] std::size_t living() const;
  [[nodiscard]] Client* longest_silent() const;
  void listen(bool more);
  void sweep(std::uint64_t now);
  [[nodiscard]] std::uint64_t patience(const Client& client) const;
  void plan_next_run(std::uint64_t now);
  void wake_at(std::uint64_t when);

  const Libraries& libraries_;
  const std::function<void(const std::string&)> log_;
  const ServerLimits limits_;

  Fd epoll_;
  Fd again_;  ///< eventfd: run() wants to be called again
  Fd timer_;
  std::vector<Fd> sockets_;
  bool listening_ = false;
  bool out_of_descriptors_ = false;
  std::uint64_t next_complaint_ = 0;  ///< of that
  std::uint64_t next_sweep_ = 0;      ///< 0: there is nobody to look after
  std::uint64_t pause_ = 0;
  std::uint64_t wake_at_ = 0;

  std::shared_ptr<const TlsContext> tls_;
  std::string complaint_;  ///< of the certificate, when it was logged
  std::shared_ptr<const Headers> headers_;
  std::unordered_map<const Client*, std::unique_ptr<Client>> clients_;
  std::unique_ptr<Requests> requests_;
  // They end first, and tell of it: no member that they need is behind them.
  std::unique_ptr<HttpDaemon> plain_;
  std::unique_ptr<HttpDaemon> secure_;
};

WebServer::~WebServer() {
  if (requests_ != nullptr) requests_->stop();
  plain_.reset();
  secure_.reset();
}

Result<void> WebServer::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return tl::unexpected<Error>(system_error("epoll_ctl"));
}

Result<void> WebServer::open(std::vector<Fd> sockets, WebConfig config, Handler handler) {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  again_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll_ || !again_ || !timer_) return tl::unexpected<Error>(system_error("epoll"));
  auto passwords = Passwords::create(libraries_, limits_.password_checks);
  if (!passwords) return tl::unexpected<Error>(passwords.error());
  requests_ =
      std::make_unique<Requests>(libraries_, std::move(*passwords), std::move(handler), limits_);
  for (const int fd : {again_.get(), timer_.get(), requests_->checked_fd()}) {
    if (auto watched = watch(fd); !watched) return watched;
  }
  if (auto applied = apply(std::move(config)); !applied) return applied;
  sockets_ = std::move(sockets);
  for (const Fd& socket : sockets_) {
    const int flags = fcntl(socket.get(), F_GETFL);
    if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
      return tl::unexpected<Error>(system_error("fcntl"));
    }
    if (auto watched = watch(socket.get()); !watched) return watched;
  }
  listening_ = true;
  return {};
}

Result<void> WebServer::apply(WebConfig config) {
  std::shared_ptr<const TlsContext> tls;
  if (config.tls) {
    auto context = TlsContext::create(libraries_, *config.tls);
    if (!context) return tl::unexpected<Error>(context.error());
    tls = std::move(*context);
  }
  std::unique_ptr<HttpDaemon>& daemon = tls != nullptr ? secure_ : plain_;
  if (daemon == nullptr) {
    // As much again as a header may have, for the answer and what libmicrohttpd notes down.
    auto started = HttpDaemon::start(
        libraries_, *this,
        {tls != nullptr, limits_.connections + kAcceptAtOnce, 2 * limits_.header_bytes});
    if (!started) return tl::unexpected<Error>(started.error());
    if (auto watched = watch((*started)->fd()); !watched) return watched;
    daemon = std::move(*started);
  }
  tls_ = std::move(tls);
  headers_ = std::make_shared<const Headers>(std::move(config.headers));
  requests_->set_users(std::move(config.users));
  complaint_.clear();
  for (const auto& [key, client] : clients_) {
    client->outdated = true;
    if (client->phase == Client::Phase::waiting) client->end();
  }
  if (tls_ != nullptr) {
    complaint_ = tls_->complaint(static_cast<std::int64_t>(wall_ns() / kSecond));
    if (!complaint_.empty()) log_(complaint_);
  }
  return {};
}

void WebServer::run() {
  std::uint64_t ignored = 0;
  for (const Fd* event : {&again_, &timer_}) {
    // Nothing to read where it was not this that woke us.
    [[maybe_unused]] const ssize_t got = ::read(event->get(), &ignored, sizeof(ignored));
  }
  accept_clients();
  const std::uint64_t now = monotonic_ns();
  requests_->resume_checked();
  if (next_sweep_ != 0 && now >= next_sweep_) sweep(now);
  for (HttpDaemon* daemon : {plain_.get(), secure_.get()}) {
    if (daemon != nullptr) daemon->run();
  }
  listen(!out_of_descriptors_ && (living() < limits_.connections || longest_silent() != nullptr));
  plan_next_run(now);
}

void WebServer::plan_next_run(std::uint64_t now) {
  bool at_once = false;
  bool soon = false;
  for (const HttpDaemon* daemon : {plain_.get(), secure_.get()}) {
    if (daemon == nullptr) continue;
    const HttpDaemon::Next next = daemon->next();
    at_once |= next == HttpDaemon::Next::now;
    soon |= next == HttpDaemon::Next::later;
  }
  if (at_once) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(again_.get(), &one, sizeof(one));
  }
  if (next_sweep_ == 0 && (!clients_.empty() || out_of_descriptors_)) next_sweep_ = now + kSecond;
  pause_ = soon ? std::clamp(2 * pause_, kShortestPause, kLongestPause) : 0;
  wake_at(soon && !at_once ? std::min(next_sweep_, now + pause_) : next_sweep_);
}

void WebServer::wake_at(std::uint64_t when) {
  if (when == wake_at_) return;
  wake_at_ = when;
  itimerspec timer{};
  timer.it_value.tv_sec = static_cast<time_t>(when / kSecond);
  timer.it_value.tv_nsec = static_cast<long>(when % kSecond);
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &timer, nullptr);
}

HttpDaemon* WebServer::daemon_for_new() {
  return tls_ != nullptr ? secure_.get() : plain_.get();
}

void WebServer::accept_clients() {
  if (!listening_) return;
  unsigned left = kAcceptAtOnce;
  for (bool any = true; any && left > 0;) {
    any = false;
    for (const Fd& socket : sockets_) {
      // Where there is no place, who has said nothing for longest makes it: else a few hundred
      // silent clients would keep all others waiting.
      Client* leaves = nullptr;
      if (living() >= limits_.connections) {
        leaves = longest_silent();
        if (leaves == nullptr) return;
      }
      // Those that were ended are there until libmicrohttpd has noticed.
      if (clients_.size() >= limits_.connections + kAcceptAtOnce || out_of_descriptors_) return;
      if (!accept_one(socket)) continue;
      if (leaves != nullptr) leaves->end();
      any = true;
      --left;
    }
  }
}

std::size_t WebServer::living() const {
  return static_cast<std::size_t>(std::count_if(
      clients_.begin(), clients_.end(), [](const auto& entry) { return !entry.second->ended; }));
}

/// Of those that never had a good answer; null: each of them has sent something.
Client* WebServer::longest_silent() const {
  std::vector<Client*> waiting;
  for (const auto& [key, client] : clients_) {
    const bool waits = client->phase == Client::Phase::waiting && !client->had_good_request;
    if (waits && !client->ended) waiting.push_back(client.get());
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Client* a, const Client* b) { return a->since_ns < b->since_ns; });
  const auto silent = std::find_if(waiting.begin(), waiting.end(), [](const Client* client) {
    char byte = 0;
    return ::recv(client->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) < 0;
  });
  return silent == waiting.end() ? nullptr : *silent;
}

bool WebServer::accept_one(const Fd& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  const int fd = accept4(socket.get(), reinterpret_cast<sockaddr*>(&address), &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The client stays in the queue; until the next sweep nobody asks for it.
      out_of_descriptors_ = true;
    }
    return false;
  }
  auto owned = std::make_unique<Client>();
  Client& client = *owned;
  client.since_ns = monotonic_ns();
  client.tls = tls_;
  clients_.emplace(&client, std::move(owned));
  daemon_for_new()->add(fd, address, length, client);
  return true;
}

void WebServer::listen(bool more) {
  if (more == listening_) return;
  listening_ = more;
  for (const Fd& socket : sockets_) {
    epoll_event event{};
    if (more) event.events = EPOLLIN;
    event.data.fd = socket.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket.get(), &event);
  }
}

std::uint64_t WebServer::patience(const Client& client) const {
  if (client.phase == Client::Phase::answering) return limits_.response_seconds * kSecond;
  const bool idle = client.phase == Client::Phase::waiting && client.had_good_request;
  const bool full = clients_.size() >= limits_.connections;
  if (full) return idle ? limits_.request_seconds * kSecond : kPatienceWhenFull;
  return (idle ? limits_.idle_seconds : limits_.request_seconds) * kSecond;
}

void WebServer::sweep(std::uint64_t now) {
  for (const auto& [key, client] : clients_) {
    if (now - client->since_ns > patience(*client) || gone(*client)) client->end();
  }
  requests_->tidy();
  if (out_of_descriptors_ && now >= next_complaint_) {
    log_("no file descriptor is left for another client");
    next_complaint_ = now + kBetweenComplaints;
  }
  out_of_descriptors_ = false;
  if (tls_ != nullptr && complaint_.empty()) {
    complaint_ = tls_->complaint(static_cast<std::int64_t>(wall_ns() / kSecond));
    if (!complaint_.empty()) log_(complaint_);
  }
  next_sweep_ = clients_.empty() ? 0 : now + kSecond;
}

Exchange& WebServer::begun(Client& client, MHD_Connection* connection) {
  // A first request counts from accept(): that it is begun does not make more of its time.
  if (client.had_request) client.since_ns = monotonic_ns();
  client.had_request = true;
  client.phase = Client::Phase::reading;
  client.exchange = std::make_unique<Exchange>(Exchange{client, connection, headers_});
  return *client.exchange;
}

MHD_Result WebServer::handle(Exchange& exchange, const char* url, const char* method,
                             const char* version) {
  if (!exchange.header_seen) {
    exchange.client.phase = Client::Phase::answering;
    exchange.client.since_ns = monotonic_ns();
  }
  return requests_->handle(exchange, url, method, version);
}

void WebServer::completed(Exchange& exchange, bool whole) {
  Client& client = exchange.client;
  client.phase = Client::Phase::waiting;
  client.since_ns = monotonic_ns();
  if (whole && exchange.status > 0 && exchange.status < MHD_HTTP_BAD_REQUEST) {
    client.had_good_request = true;
  }
  client.exchange.reset();
  if (client.outdated) client.end();
}

void WebServer::closed(Client& client) {
  clients_.erase(&client);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(std::vector<Fd> sockets, WebConfig config,
                                               Handler handler,
                                               std::function<void(const std::string&)> log,
                                               const ServerLimits& limits) {
  const auto libraries = load_libraries();
  if (!libraries) return tl::unexpected<Error>(libraries.error());
  auto server = std::make_unique<WebServer>(**libraries, std::move(log), limits);
  if (auto opened = server->open(std::move(sockets), std::move(config), std::move(handler));
      !opened) {
    return tl::unexpected<Error>(opened.error());
  }
  return server;
}

}  // namespace listenq::web
