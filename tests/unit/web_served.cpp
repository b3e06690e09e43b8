// SPDX-License-Identifier: Apache-2.0
//
// The server's loop, and the clients.
#include "web_served.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "web/listen.h"

extern char**
    environ;  // NOLINT(readability-redundant-declaration): not in unistd.h's standard part

namespace listenq::web {
namespace {

constexpr int kPatienceSeconds = 20;

std::string line_of(std::size_t number) {
  return "metric{number=\"" + std::to_string(number) + "\"} " + std::to_string(number * 7919) +
         "\n";
}

class LongReader final : public Reader {
 public:
  explicit LongReader(std::size_t lines) : lines_(lines) {}
  bool read(std::string& out) override {
    constexpr std::size_t kPiece = 64UL * 1024;
    const std::size_t before = out.size();
    while (next_ < lines_ && out.size() - before < kPiece) out += line_of(next_++);
    return out.size() > before;
  }

 private:
  std::size_t lines_;
  std::size_t next_ = 0;
};

}  // namespace

std::atomic<int> LongDocument::alive = 0;
std::atomic<int> LongDocument::opened = 0;

LongDocument::LongDocument(std::size_t lines) : Document("text/plain"), lines_(lines) {
  ++alive;
}

LongDocument::~LongDocument() {
  --alive;
}

std::unique_ptr<Reader> LongDocument::open() const {
  ++opened;
  return std::make_unique<LongReader>(lines_);
}

std::string LongDocument::text(std::size_t lines) {
  std::string all;
  for (std::size_t i = 0; i < lines; ++i) all += line_of(i);
  return all;
}

Response Served::answer(const Request& request) {
  const auto text = [](std::string body, unsigned status = 200) {
    return Response{status, std::make_shared<TextDocument>("text/plain", std::move(body))};
  };
  if (request.path == "/") return text("hello\n");
  if (request.path == "/text") return text(std::string(10'000, 'x'));
  if (request.path == "/accept") return text(std::string(request.accept));
  if (request.path == "/missing") return text("nothing here\n", 404);
  if (request.path == "/long") return {200, std::make_shared<LongDocument>(200'000)};
  return text(std::string(request.path));
}

Served::Served() : Served(Setup{}) {}

Served::Served(Setup setup)
    : tls_(setup.config.tls.has_value()), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  auto sockets = setup.sockets.empty() ? listen_at("127.0.0.1:0")
                                       : Result<std::vector<Fd>>(std::move(setup.sockets));
  if (!sockets) throw std::runtime_error(sockets.error().message);
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  getsockname(sockets->front().get(), reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  auto server = Server::create(
      std::move(*sockets), std::move(setup.config),
      setup.handler ? std::move(setup.handler) : Handler(&Served::answer),
      [this](const std::string& sentence) {
        const std::scoped_lock lock(mutex_);
        log_.push_back(sentence);
      },
      setup.limits);
  if (!server) throw std::runtime_error(server.error().message);
  server_ = std::move(*server);
  thread_ = std::thread([this] { loop(); });
}

Served::~Served() {
  stop();
}

void Served::stop() {
  stop_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
}

void Served::loop() {
  while (!stop_) {
    std::array<pollfd, 2> fds = {pollfd{server_->fd(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), -1);
    if ((fds[1].revents & POLLIN) != 0) {
      std::uint64_t count = 0;
      (void)!::read(wake_.get(), &count, sizeof(count));
      std::vector<std::function<void()>> calls;
      {
        const std::scoped_lock lock(mutex_);
        calls.swap(calls_);
      }
      for (const auto& call : calls) call();
    }
    if ((fds[0].revents & POLLIN) != 0) {
      ++runs_;
      server_->run();
    }
  }
  server_.reset();
}

Result<void> Served::apply(WebConfig config) {
  std::promise<Result<void>> promise;
  auto result = promise.get_future();
  const bool tls = config.tls.has_value();
  {
    const std::scoped_lock lock(mutex_);
    calls_.emplace_back([&] { promise.set_value(server_->apply(std::move(config))); });
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  auto applied = result.get();
  if (applied) tls_ = tls;
  return applied;
}

std::vector<std::string> Served::log() {
  const std::scoped_lock lock(mutex_);
  return log_;
}

std::string Served::url(std::string_view path) const {
  return std::string(tls_ ? "https" : "http") + "://localhost:" + std::to_string(port_) +
         std::string(path);
}

RawClient::RawClient(int port, int receive_buffer)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (receive_buffer > 0) {
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawClient::receive() {
  std::array<char, 65536> block{};
  const ssize_t got = ::recv(fd_.get(), block.data(), block.size(), 0);
  if (got <= 0) return false;
  buffer_.append(block.data(), static_cast<std::size_t>(got));
  return true;
}

void RawClient::half_close() {
  ::shutdown(fd_.get(), SHUT_WR);
}

bool RawClient::closed() {
  std::array<char, 65536> block{};
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), block.data(), block.size(), 0);
    if (got == 0) return true;
    if (got < 0) return errno != EAGAIN;
  }
}

bool RawClient::line(std::string& out) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!receive()) return false;
  }
  out = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

bool RawClient::take(std::size_t size, std::string& out) {
  while (buffer_.size() < size) {
    if (!receive()) return false;
  }
  out.append(buffer_, 0, size);
  buffer_.erase(0, size);
  return true;
}

HttpReply RawClient::reply(bool head) {
  HttpReply reply;
  std::string text;
  if (!line(text) || !text.starts_with("HTTP/1.1 ")) return reply;
  reply.status = static_cast<int>(std::strtol(text.c_str() + 9, nullptr, 10));
  while (line(text) && !text.empty()) {
    std::string name = text.substr(0, text.find(':'));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string& value = reply.headers[name];
    if (!value.empty()) value += ", ";
    value += text.substr(std::min(text.size(), name.size() + 2));
  }
  if (head) {
    reply.whole = true;
  } else if (!reply.header("content-length").empty()) {
    reply.whole = take(std::stoul(reply.header("content-length")), reply.body);
  } else if (reply.header("transfer-encoding") == "chunked") {
    while (line(text)) {
      std::size_t size = 0;
      std::from_chars(text.data(), text.data() + text.size(), size, 16);
      if (size > 0 && !take(size, reply.body)) break;
      if (!line(text)) break;
      if (size == 0) {
        reply.whole = true;
        break;
      }
    }
  } else {
    while (receive()) {
    }
    reply.body.swap(buffer_);
    reply.whole = true;
  }
  return reply;
}

HttpReply RawClient::get(const std::string& path, const std::string& headers) {
  if (!send("GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n")) return {};
  return reply();
}

Ran run_program(const std::vector<std::string>& arguments, const std::string& input) {
  std::array<int, 2> out{};
  std::array<int, 2> in{};
  if (pipe2(out.data(), O_CLOEXEC) < 0 || pipe2(in.data(), O_CLOEXEC) < 0) return {};
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (const std::string& each : arguments) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawnp(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(in[0]);
  const Fd from(out[0]);
  {
    const Fd to(in[1]);
    if (error == 0 && !input.empty()) (void)!::write(to.get(), input.data(), input.size());
  }
  Ran ran;
  if (error != 0) return ran;
  std::array<char, 65536> block{};
  for (ssize_t got = 0; (got = ::read(from.get(), block.data(), block.size())) > 0;) {
    ran.out.append(block.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  waitpid(child, &status, 0);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "listenq-web-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::path(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string TemporaryFolder::write(std::string_view name, std::string_view text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return path(name);
}

bool eventually(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return done();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string gunzipped(std::string_view compressed) {
  z_stream stream{};
  constexpr int kGzipHeader = 16;
  if (inflateInit2(&stream, MAX_WBITS + kGzipHeader) != Z_OK) return "?";
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string out;
  std::array<char, 65536> block{};
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(block.data(), block.size() - stream.avail_out);
  }
  const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  return whole ? out : "?";
}

}  // namespace listenq::web
