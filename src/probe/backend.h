// SPDX-License-Identifier: Apache-2.0
//
// A way to read listeners. The collector steps through the namespaces and asks a Backend in each;
// nothing above this folder knows how the kernel is asked.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/sample.h"
#include "util/result.h"

namespace listenq {

/// A descriptor of a listener, as BPF saw it.
struct ListenerHolder {
  std::uint64_t inode = 0;
  std::int32_t pid = 0;
  std::string name;  ///< comm of the thread group leader
};

/// A descriptor of a listener, as /proc showed it.
struct ListenerDescriptor {
  std::int32_t pid = 0;
  std::int32_t fd = 0;
};

/// What this sample shall hold beyond the accept queue.
struct ReadRequest {
  bool syn_queue = true;
  bool sk_drops = true;
  bool holders = false;        ///< who holds the listeners shall be read anew in this sample
  std::size_t namespaces = 1;  ///< how many will be read
  std::span<const ListenerDescriptor> descriptors;  ///< for complete(), where BPF can't find them
};

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// Brings the calling thread into a namespace; false when it is gone.
  using Enter = std::function<bool(NetnsId)>;

  /// Appends the listeners of the namespace that the calling thread is in. In `request`, holders
  /// says whether they are sure to be wanted; complete() may be asked for them all the same.
  [[nodiscard]] virtual Result<void> read_namespace(NetnsId netns, const ReadRequest& request,
                                                    std::vector<RawListener>& listeners) = 0;

  /// Once a sample, after all namespaces: what is read for all of them at once.
  virtual void complete(std::vector<RawListener>& listeners, const ReadRequest& request,
                        const Enter& enter) = 0;

  /// The holders read by the last complete(); nullopt when it could not, then /proc must tell.
  [[nodiscard]] virtual std::optional<std::vector<ListenerHolder>> take_holders() = 0;

  /// Who waits in the accept queues of these, which are all of the sample; nothing is filled in
  /// where it can't be read. Leaves the thread in any namespace.
  virtual void read_waiting(std::vector<RawCloseUp>& close_ups, const Enter& enter) = 0;

  /// Adds its part of what the tool took and lost.
  virtual void account(RawSelf& self) const = 0;

  virtual void list_programs(std::vector<RawProgram>& programs) const = 0;
};

}  // namespace listenq
