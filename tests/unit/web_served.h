// SPDX-License-Identifier: Apache-2.0
//
// A web server in a thread of the test's own process, at a port of the kernel's choice, and clients
// for it: raw sockets, for what no proper client does, and programs (curl, openssl).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "util/fd.h"
#include "web/document.h"
#include "web/server.h"

namespace listenq::web {

/// Megabytes of numbered lines, rendered when they are read, as the exporter does.
class LongDocument final : public Document {
 public:
  explicit LongDocument(std::size_t lines);
  LongDocument(const LongDocument&) = delete;
  LongDocument& operator=(const LongDocument&) = delete;
  ~LongDocument() override;
  [[nodiscard]] std::unique_ptr<Reader> open() const override;

  /// What a reader gets.
  [[nodiscard]] static std::string text(std::size_t lines);
  /// How many of them there are.
  static std::atomic<int> alive;
  /// How many were read from their start.
  static std::atomic<int> opened;

 private:
  std::size_t lines_;
};

class Served {
 public:
  struct Setup {
    WebConfig config;
    ServerLimits limits;
    Handler handler;          ///< null: answer()
    std::vector<Fd> sockets;  ///< empty: one at 127.0.0.1
  };
  Served();
  explicit Served(Setup setup);
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served();

  /// "/": "hello\n"; "/text": 10,000 bytes; "/long": 200,000 lines; "/accept": what was in Accept;
  /// "/missing": 404; else the path.
  static Response answer(const Request& request);

  [[nodiscard]] int port() const { return port_; }
  /// "https://localhost:1234/text"
  [[nodiscard]] std::string url(std::string_view path) const;
  /// In the server's thread, as its owner would.
  [[nodiscard]] Result<void> apply(WebConfig config);
  /// How often run() was called: what a client costs that does nothing.
  [[nodiscard]] std::uint64_t runs() const { return runs_; }
  [[nodiscard]] std::vector<std::string> log();
  /// Ends the server, with its clients still there.
  void stop();

 private:
  void loop();

  std::unique_ptr<Server> server_;
  int port_ = 0;
  bool tls_ = false;
  Fd wake_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> runs_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> calls_;
  std::vector<std::string> log_;
  std::thread thread_;
};

struct HttpReply {
  int status = 0;  ///< 0: the connection ended before there was an answer
  std::map<std::string, std::string> headers;  ///< names in small letters
  std::string body;
  bool whole = false;  ///< the body was there to its end

  /// "" where it is not there.
  [[nodiscard]] std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

/// One connection, without any rules. Everything that waits does so for 20 seconds at most.
class RawClient {
 public:
  explicit RawClient(int port, int receive_buffer = 0);

  /// false: the server has closed it.
  bool send(std::string_view bytes);
  /// The next answer on this connection; `head`: to a HEAD request.
  HttpReply reply(bool head = false);
  HttpReply get(const std::string& path, const std::string& headers = "");
  /// Reads on until the server closes; false: it did not.
  bool closed();
  /// At least one byte more into what reply() reads from; false: closed, or nothing came.
  bool receive();
  void half_close();
  [[nodiscard]] std::size_t received() const { return buffer_.size(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  bool line(std::string& out);
  bool take(std::size_t size, std::string& out);

  Fd fd_;
  std::string buffer_;
};

struct Ran {
  int code = -1;
  std::string out;
};

/// Runs a program to its end; what it says on stderr is thrown away.
Ran run_program(const std::vector<std::string>& arguments, const std::string& input = "");

/// A folder that goes with it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] std::string path(std::string_view name) const;
  /// The path of it.
  // NOLINTNEXTLINE(modernize-use-nodiscard): who wrote it may know it
  std::string write(std::string_view name, std::string_view text) const;

 private:
  std::string path_;
};

/// Waits until `done` or 20 seconds have passed; what it returned last.
bool eventually(const std::function<bool()>& done);

std::string gunzipped(std::string_view compressed);

}  // namespace listenq::web
