// SPDX-License-Identifier: Apache-2.0
//
// Basic authentication against bcrypt hashes. A check takes 50 ms by design, so it is done in a
// thread of its own, one after the other, and what was right is remembered.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "util/fd.h"
#include "util/result.h"
#include "web/libraries.h"

namespace listenq::web {

struct Credentials {
  std::string user;
  std::string password;
};

/// Of an Authorization header (RFC 7617); nullopt for another scheme, or what can't be read.
[[nodiscard]] std::optional<Credentials> basic_credentials(std::string_view authorization);

/// Whether `text` is a bcrypt hash, and its cost: "$2y$10$" and 53 characters.
[[nodiscard]] std::optional<unsigned> bcrypt_cost(std::string_view text);

/// For one thread, but for what its worker does.
class Passwords {
 public:
  using Waiter = std::uint64_t;
  enum class Answer : std::uint8_t {
    right,
    wrong,
    later,  ///< finished() will tell
    busy,   ///< too many are waiting, or there is no memory for a check
  };

  [[nodiscard]] static Result<std::unique_ptr<Passwords>> create(const Libraries& libraries,
                                                                 unsigned waiting_limit);
  Passwords(const Passwords&) = delete;
  Passwords& operator=(const Passwords&) = delete;
  /// Waits for the check that is under way.
  ~Passwords();

  /// name -> bcrypt hash. What was right before is forgotten; checks under way end as they began.
  void set_users(std::map<std::string, std::string> users);
  [[nodiscard]] bool needed() const { return !users_.empty(); }

  /// `waiter` is the caller's name for whom it asks.
  [[nodiscard]] Answer check(const Credentials& credentials, Waiter waiter);

  /// Readable when finished() has something.
  [[nodiscard]] int fd() const { return event_.get(); }
  [[nodiscard]] std::vector<std::pair<Waiter, bool>> finished();

 private:
  /// HMAC-SHA-256 of who asks with what: as good as the password for telling two apart, and of no
  /// use to anybody who reads it in this process' memory later.
  using Digest = std::array<std::uint8_t, 32>;

  struct Job {
    Digest digest{};
    std::string password;
    std::string hash;
    bool known = false;  ///< there is such a user
    bool right = false;
  };

  Passwords(const Libraries& libraries, unsigned waiting_limit)
      : libraries_(libraries), waiting_limit_(waiting_limit) {}

  [[nodiscard]] std::optional<Digest> digest_of(const Credentials& credentials,
                                                const std::string& hash) const;
  [[nodiscard]] Answer enqueue(Job job, Waiter waiter);
  [[nodiscard]] bool start_worker();
  void work();

  const Libraries& libraries_;
  const unsigned waiting_limit_;
  std::array<std::uint8_t, 32> key_{};
  Fd event_;

  std::map<std::string, std::string> users_;
  std::string nobody_;  ///< a hash of the users' cost that no password has
  std::set<Digest> right_;
  std::map<Digest, std::vector<Waiter>> waiting_;

  std::mutex mutex_;  ///< of what follows
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::vector<Job> done_;
  bool stop_ = false;
  std::thread worker_;  ///< started by the first check
};

}  // namespace listenq::web
