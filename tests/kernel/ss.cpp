// SPDX-License-Identifier: Apache-2.0
// The oracle, ss: see ss.h.
#include "ss.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "process.h"

namespace lqtest {
namespace {

[[noreturn]] void not_understood(const std::string& row) {
  throw std::runtime_error("row of ss not understood: " + row);
}

// "[fe80::77]%silent0:80" -> {"fe80::77%silent0", 80}
std::pair<std::string, uint16_t> split_local(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) not_understood(text);
  std::string address = text.substr(0, colon);
  std::erase_if(address, [](char c) { return c == '[' || c == ']'; });
  if (address.starts_with("*")) address.replace(0, 1, "::");
  return {address, static_cast<uint16_t>(std::stoul(text.substr(colon + 1)))};
}

std::string family_of(const std::string& local) {
  if (local.starts_with("*")) return "dual";
  return local.starts_with("[") ? "ipv6" : "ipv4";
}

// `users:(("a",pid=1,fd=3),("b",pid=2,fd=3))`: a name may hold anything, so go by what follows it.
std::vector<SsUser> parse_users(const std::string& row) {
  const std::string start = "users:((\"";
  const std::string middle = "\",pid=";
  std::set<SsUser> users;
  const size_t first = row.find(start);
  if (first == std::string::npos) return {};
  size_t at = first + start.size();
  while (true) {
    const size_t end = row.find(middle, at);
    if (end == std::string::npos) not_understood(row);
    const size_t close = row.find(')', end);
    if (close == std::string::npos) not_understood(row);
    users.insert({row.substr(at, end - at), std::stoi(row.substr(end + middle.size()))});
    if (row.compare(close, 4, "),(\"") != 0) break;
    at = close + 4;
  }
  return {users.begin(), users.end()};
}

// The value behind "key" among the words of the row, in the given base; 0 when ss left it out,
// which it does for uid 0 and inode 0.
uint64_t number_after(const std::vector<std::string>& words, const std::string& key, int base) {
  for (const std::string& word : words)
    if (word.starts_with(key)) return std::stoull(word.substr(key.size()), nullptr, base);
  return 0;
}

uint64_t drops_of(const std::string& row) {
  const size_t memory = row.find("skmem:(");
  const size_t drops = memory == std::string::npos ? memory : row.find(",d", memory);
  if (drops == std::string::npos) not_understood(row);
  return std::stoull(row.substr(drops + 2));
}

std::vector<std::string> run_ss(const Netns& netns, std::vector<std::string> argv) {
  RunOptions options;
  options.netns_fd = netns.fd();
  argv.insert(argv.begin(), "ss");
  const RunResult result = run_program(argv, options);
  if (result.status != 0) throw std::runtime_error("ss failed: " + result.err);
  return split_lines(result.out);
}

}  // namespace

SsListener parse_listener(const std::string& row) {
  const std::vector<std::string> words = split_words(row);
  if (words.size() < 6 || words[0] != "LISTEN") not_understood(row);
  // A process name could look like a key, so the keys are searched behind the users only.
  const size_t users_end = row.find(")) ");
  const std::vector<std::string> details =
      split_words(users_end == std::string::npos ? row : row.substr(users_end + 3));
  SsListener listener;
  listener.accept_queue_len = std::stoull(words[1]);
  listener.accept_queue_limit = std::stoull(words[2]);
  std::tie(listener.address, listener.port) = split_local(words[3]);
  listener.family = family_of(words[3]);
  listener.users = parse_users(row);
  listener.uid = number_after(details, "uid:", 10);
  listener.inode = number_after(details, "ino:", 10);
  listener.cookie = number_after(details, "sk:", 16);
  listener.drops = drops_of(row);
  if (listener.cookie == 0) not_understood(row);
  return listener;
}

std::map<uint64_t, SsListener> ss_listeners(const Netns& netns) {
  std::map<uint64_t, SsListener> listeners;
  for (const std::string& row : run_ss(netns, {"-tnlHOmpe"})) {
    SsListener listener = parse_listener(row);
    listeners.emplace(listener.cookie, std::move(listener));
  }
  return listeners;
}

std::map<uint16_t, uint64_t> ss_half_open(const Netns& netns) {
  std::map<uint16_t, uint64_t> counts;
  for (const std::string& row : run_ss(netns, {"-tnHOe", "state", "syn-recv"})) {
    const std::vector<std::string> words = split_words(row);
    if (words.size() < 4) not_understood(row);
    // A Fast Open child is in this state, too, but a full socket, which alone has a direction.
    if (row.find("<->") == std::string::npos) ++counts[split_local(words[2]).second];
  }
  return counts;
}

}  // namespace lqtest
