// SPDX-License-Identifier: Apache-2.0
// The tool while it watches: `-b --json` with one counting backend, read line by line as it comes.
// For the tests of counters, which must know when everything they did is in what the tool says.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "process.h"
#include "tool.h"

namespace lqtest {

// The counting backends to test: all, or those that $LISTENQ_BACKENDS names (by hand, one at a
// time; empty: none).
std::vector<std::string> counting_backends();
// Must this kernel have it? fentry and kprobe: in every virtual machine of the tests. portable:
// wherever the tracepoint sock:sk_data_ready is. Elsewhere the tool may refuse, with its reason.
bool must_have(const std::string& backend);
// Why what this backend counts on this kernel is not for these tests; empty: it is.
std::string not_whole(const std::string& backend);

// True in the virtual machines, where one emulated CPU does it all, 10 to 30 times slower.
bool is_emulated();
// Between two documents.
double watch_interval();

class Watch {
 public:
  // Starts the tool and waits for its first document, or its refusal.
  explicit Watch(const std::string& backend, double interval = watch_interval(),
                 const std::vector<std::string>& more = {});
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  [[nodiscard]] const std::string& backend() const { return backend_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Why there is no document: the tool's own words, with its exit status in front. Empty: it runs.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  [[nodiscard]] bool not_supported() const { return status_ == 3; }
  [[nodiscard]] bool running();

  // The next whole document after those that were there at the call; null when the tool ended or
  // nothing comes.
  Json next();
  // Shows all of them that came since `mark` (a former value of count()) and are kept, oldest
  // first; one at a time, because a document may be as large as a thousand closed listeners.
  void each_since(uint64_t mark, const std::function<void(const Json&)>& take);
  [[nodiscard]] uint64_t count();
  // A moment to ask from, where several tools watch: what one said while another was asked counts.
  struct Moment {
    std::string time;  // as documents have it
    uint64_t count = 0;
  };
  Moment moment();
  // The first of two successive documents that say the same about these namespaces, of those begun
  // after the moment, or after the call.
  Json settled(const std::set<uint64_t>& netns) { return settled(netns, moment()); }
  Json settled(const std::set<uint64_t>& netns, const Moment& since);

  // SIGTERM, and what came of it. No more documents after that.
  RunResult stop(int signal);

 private:
  void read_all();
  std::optional<std::string> line_after(uint64_t number);

  std::string backend_;
  std::unique_ptr<Program> program_;
  pid_t pid_ = -1;
  int status_ = 0;
  std::string refusal_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::string> lines_;
  size_t bytes_kept_ = 0;
  uint64_t arrived_count_ = 0;
  bool ended_ = false;
  std::thread reader_;
};

// Every counter of a listener, by the ids of its fields; accept_queue_peak and the like are none.
const std::vector<std::string>& counter_names();
// A counter of the row; nothing when it is null there.
std::optional<uint64_t> counter(const Json& row, const std::string& name);
// May this backend leave a field out? portable: what only a traced function tells, and, on a kernel
// without tracepoints of system calls, what only those tell.
bool may_be_absent(const std::string& backend, const std::string& name);

// The listeners that closed in a namespace, oldest first.
std::vector<Json> closed_of(const Json& document, uint64_t netns_inode);

// A histogram as the tool writes it.
struct Waits {
  std::vector<double> bounds;  // seconds
  std::vector<uint64_t> counts;
  double sum = 0;
  double max = 0;

  static std::optional<Waits> of(const Json& row, const std::string& name);
  [[nodiscard]] uint64_t count() const;
  // The bucket in which the value of this rank lies.
  [[nodiscard]] size_t bucket_of_rank(double share) const;
  // The bucket a value belongs to.
  [[nodiscard]] size_t bucket_of(double seconds) const;
};

}  // namespace lqtest
