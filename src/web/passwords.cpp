// SPDX-License-Identifier: Apache-2.0
//
// The queue of checks, the thread that does them with libcrypt, and the memory of those that were
// right.
#include "web/passwords.h"

#include <crypt.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <system_error>

namespace listenq::web {
namespace {

constexpr std::string_view kBcryptDigits =
    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Who knows more passwords than this has a directory service.
constexpr std::size_t kRemembered = 1024;

void forget(std::string& secret) {
  explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

/// Takes as long whatever differs.
bool same_bytes(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i] ^ b[i]));
  }
  return difference == 0;
}

std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.size() - std::min(text.find('='), text.size());
  if (padding > 2 || text.find_first_not_of('=', text.size() - padding) != std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_suffix(padding);
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U | static_cast<std::uint32_t>(digit)) & 0xffffffU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 0xffU));
  }
  return out;
}

bool bcrypt_matches(const std::string& password, const std::string& hash) {
  // 32 KB, too much for a stack that somebody else chose the size of.
  const auto data = std::make_unique<crypt_data>();
  const char* const made = crypt_r(password.c_str(), hash.c_str(), data.get());
  const bool match = made != nullptr && same_bytes(made, hash);
  explicit_bzero(data.get(), sizeof(crypt_data));
  return match;
}

}  // namespace

std::optional<Credentials> basic_credentials(std::string_view authorization) {
  constexpr std::string_view kScheme = "basic ";
  constexpr std::size_t kLongest = 4096;
  if (authorization.size() < kScheme.size() || authorization.size() > kLongest) return std::nullopt;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != kScheme[i]) return std::nullopt;
  }
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  while (authorization.ends_with(' ')) authorization.remove_suffix(1);
  auto decoded = from_base64(authorization);
  if (!decoded) return std::nullopt;
  const std::size_t colon = decoded->find(':');
  if (colon == std::string::npos) return std::nullopt;
  Credentials credentials{decoded->substr(0, colon), decoded->substr(colon + 1)};
  forget(*decoded);
  return credentials;
}

std::optional<unsigned> bcrypt_cost(std::string_view text) {
  constexpr std::size_t kPrefix = 7;
  constexpr std::size_t kSaltAndHash = 53;
  if (text.size() != kPrefix + kSaltAndHash) return std::nullopt;
  if (!text.starts_with("$2a$") && !text.starts_with("$2b$") && !text.starts_with("$2y$")) {
    return std::nullopt;
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!digit(text[4]) || !digit(text[5]) || text[6] != '$') return std::nullopt;
  if (text.find_first_not_of(kBcryptDigits, kPrefix) != std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(text[4] - '0') * 10U + static_cast<unsigned>(text[5] - '0');
}

Result<std::unique_ptr<Passwords>> Passwords::create(const Libraries& libraries,
                                                     unsigned waiting_limit) {
  std::unique_ptr<Passwords> passwords(new Passwords(libraries, waiting_limit));
  passwords->event_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!passwords->event_) {
    return failure(ErrorKind::unsupported, "eventfd: " + errno_text(errno));
  }
  auto& key = passwords->key_;
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return failure(ErrorKind::unsupported, "getrandom: " + errno_text(errno));
  }
  return passwords;
}

Passwords::~Passwords() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  if (worker_.joinable()) worker_.join();
  for (Job& job : jobs_) forget(job.password);
}

void Passwords::set_users(std::map<std::string, std::string> users) {
  users_ = std::move(users);
  right_.clear();
  unsigned cost = 4;
  for (const auto& [user, hash] : users_) cost = std::max(cost, bcrypt_cost(hash).value_or(cost));
  // Salt and hash are made of zero bits; what job.known says is what counts.
  nobody_ = "$2b$" + std::string(cost < 10 ? "0" : "") + std::to_string(cost) + "$" +
            std::string(53, '.');
}

std::optional<Passwords::Digest> Passwords::digest_of(const Credentials& credentials,
                                                      const std::string& hash) const {
  std::string text;
  for (const std::string* part : {&credentials.user, &hash}) {
    text += std::to_string(part->size()) + ':' + *part;
  }
  text += credentials.password;
  Digest digest{};
  const int error = libraries_.gnutls_hmac_fast(GNUTLS_MAC_SHA256, key_.data(), key_.size(),
                                                text.data(), text.size(), digest.data());
  forget(text);
  if (error != 0) return std::nullopt;
  return digest;
}

Passwords::Answer Passwords::check(const Credentials& credentials, Waiter waiter) {
  const auto user = users_.find(credentials.user);
  const bool known = user != users_.end();
  const std::string& hash = known ? user->second : nobody_;
  const auto digest = digest_of(credentials, hash);
  if (!digest) return Answer::busy;
  if (right_.contains(*digest)) return Answer::right;
  // For crypt() a password ends at its first NUL: one with a NUL would be as good as its beginning.
  const bool whole = credentials.password.find('\0') == std::string::npos;
  return enqueue({*digest, credentials.password, hash, known && whole}, waiter);
}

Passwords::Answer Passwords::enqueue(Job job, Waiter waiter) {
  if (const auto same = waiting_.find(job.digest); same != waiting_.end()) {
    forget(job.password);
    same->second.push_back(waiter);
    return Answer::later;
  }
  if (waiting_.size() >= waiting_limit_ || !start_worker()) {
    forget(job.password);
    return Answer::busy;
  }
  waiting_[job.digest] = {waiter};
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return Answer::later;
}

bool Passwords::start_worker() {
  if (worker_.joinable()) return true;
  // Signals are for the thread that waits for them.
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    worker_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {
    // No thread for now: the next check tries again.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return worker_.joinable();
}

void Passwords::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.right = bcrypt_matches(job.password, job.hash) && job.known;
    forget(job.password);
    lock.lock();
    done_.push_back(std::move(job));
    const std::uint64_t one = 1;
    // It can only fail when it is readable anyway.
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof(one));
  }
}

std::vector<std::pair<Passwords::Waiter, bool>> Passwords::finished() {
  std::uint64_t count = 0;
  if (::read(event_.get(), &count, sizeof(count)) < 0) return {};
  std::vector<Job> done;
  {
    const std::scoped_lock lock(mutex_);
    done.swap(done_);
  }
  std::vector<std::pair<Waiter, bool>> answers;
  for (const Job& job : done) {
    const auto waiting = waiting_.extract(job.digest);
    if (waiting.empty()) continue;
    for (const Waiter waiter : waiting.mapped()) answers.emplace_back(waiter, job.right);
    if (!job.right) continue;
    if (right_.size() == kRemembered) right_.clear();
    right_.insert(job.digest);
  }
  return answers;
}

}  // namespace listenq::web
