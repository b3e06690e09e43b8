// SPDX-License-Identifier: Apache-2.0
//
// See serve.h. One loop answers scrapes; samples are taken by a thread of their own, so that a slow
// one keeps no scraper waiting.
#include "app/serve.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "app/event_loop.h"
#include "app/exporter.h"
#include "app/sampler.h"
#include "app/source.h"
#include "util/clock.h"
#include "web/listen.h"
#include "web/server.h"

namespace listenq {
namespace {

void log(const std::string& sentence) {
  std::fprintf(stderr, "listenq-top: %s\n", sentence.c_str());
}

/// Scrapers take a descriptor each, beside those for the kernel.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::vector<Fd>> open_sockets(const ServeOptions& serve) {
  auto sockets = web::sockets_from_systemd();
  if (!sockets) return sockets;
  std::vector<std::string> addresses = serve.addresses;
  if (addresses.empty() && sockets->empty()) addresses.emplace_back(kDefaultListenAddress);
  for (const std::string& address : addresses) {
    auto more = web::listen_at(address);
    if (!more) return more;
    for (Fd& socket : *more) sockets->push_back(std::move(socket));
  }
  return sockets;
}

class Service {
 public:
  Service(const Options& options, EventLoop& loop)
      : options_(options),
        loop_(loop),
        exporter_(options.serve, options.delay_seconds, monotonic_ns) {}

  Result<void> start() {
    const ServeOptions& serve = options_.serve;
    web::WebConfig config;
    if (!serve.config_file.empty()) {
      config_file_.emplace(serve.config_file);
      auto read = config_file_->read();
      if (!read) return tl::unexpected<Error>(read.error());
      config = std::move(*read);
    }
    auto sockets = open_sockets(serve);
    if (!sockets) return tl::unexpected<Error>(sockets.error());
    const bool tls = config.tls.has_value();
    std::vector<std::string> urls;
    for (const Fd& socket : *sockets) urls.push_back(web::url_of(socket, tls));
    auto server = web::Server::create(
        std::move(*sockets), std::move(config),
        [this](const web::Request& request) { return exporter_.answer(request); }, log);
    if (!server) return tl::unexpected<Error>(server.error());
    server_ = std::move(*server);
    auto source = open_source(options_);
    if (!source) return tl::unexpected<Error>(source.error());
    source_ = std::move(*source);
    auto sampler = Sampler::create(*source_);
    if (!sampler) return tl::unexpected<Error>(sampler.error());
    sampler_ = std::move(*sampler);
    for (const std::string& url : urls) {
      log(fmt::format("serving metrics at {}{}", url, serve.telemetry_path));
    }
    if (const std::string note = source_->note(); !note.empty()) log(note);
    if (auto watched = loop_.watch_samples(sampler_->ready_fd()); !watched) return watched;
    return loop_.watch_web(server_->fd());
  }

  void run() {
    request_sample();
    for (;;) {
      switch (loop_.wait()) {
        case Event::tick:
          if (config_file_ && config_file_->changed()) reload();
          request_sample();
          break;
        case Event::sample:
          take_sample();
          break;
        case Event::web:
          server_->run();
          break;
        case Event::reload:
          reload();
          break;
        case Event::stop:
          web::notify_systemd("STOPPING=1");
          return;
        case Event::suspend:
          stop_self();
          break;
        case Event::input:
        case Event::resize:
        case Event::resume:
          break;
      }
    }
  }

 private:
  void request_sample() {
    sampler_->request({.close_ups = {}, .program_times = options_.serve.program_times});
  }

  void take_sample() {
    auto sample = sampler_->take();
    if (!sample) return;
    if (!*sample) {
      exporter_.fail();
      if (!std::exchange(failing_, true)) {
        log(fmt::format("no sample could be taken, trying on: {}", sample->error().message));
      }
      return;
    }
    if (std::exchange(failing_, false)) log("samples can be taken again");
    exporter_.add(std::move(**sample));
    web::notify_systemd(std::exchange(ready_, true) ? "WATCHDOG=1" : "READY=1\nWATCHDOG=1");
  }

  void reload() {
    if (!config_file_) return;
    auto config = config_file_->read();
    Result<void> applied;
    if (config) {
      applied = server_->apply(std::move(*config));
    } else {
      applied = tl::unexpected<Error>(config.error());
    }
    log(applied
            ? fmt::format("{} was read again", options_.serve.config_file)
            : fmt::format("the web configuration stays as it was: {}", applied.error().message));
  }

  const Options& options_;
  EventLoop& loop_;
  Exporter exporter_;
  std::optional<web::WebConfigFile> config_file_;
  std::unique_ptr<web::Server> server_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Sampler> sampler_;
  bool failing_ = false;
  bool ready_ = false;
};

}  // namespace

Result<void> run_serve(const Options& options) {
  auto loop = EventLoop::create(options.delay_seconds, Hangup::reload);
  if (!loop) return tl::unexpected<Error>(loop.error());
  std::signal(SIGPIPE, SIG_IGN);  // a client that goes away is no reason to end
  raise_descriptor_limit();
  Service service(options, **loop);
  if (auto started = service.start(); !started) return started;
  service.run();
  return {};
}

}  // namespace listenq
