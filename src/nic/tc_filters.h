// SPDX-License-Identifier: Apache-2.0
//
// Programs on an interface by filters of the clsact qdisc, for kernels without links for tc (before
// 6.6). A filter stays when its process is killed, so each program carries who loaded it, and
// whoever attaches next to the interface removes what nobody looks after any more.
#pragma once

#include <linux/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "listenq/abi.h"

namespace listenq {

/// Of one interface of the calling thread's network namespace.
class TcFilters {
 public:
  explicit TcFilters(std::uint32_t ifindex) : ifindex_(ifindex) {}

  /// Removes filters that killed processes of this program left, and hangs the program's filter
  /// before all others that it can go before. Where there is no qdisc it is made by the same call,
  /// so that no kill can come in between; `made_qdisc`, in the memory that the filter will be known
  /// by, says so beforehand. The text of an error, or "".
  [[nodiscard]] std::string attach(bool ingress, int program, std::uint32_t& made_qdisc);

  /// Removes filters that killed processes left, and the qdisc with the last of them if they made
  /// it.
  void clean_up();

  /// Takes the filters off again, and the qdisc if it was made here and holds no other filter.
  void detach();

  [[nodiscard]] bool empty() const { return filters_.empty(); }

 private:
  struct Place {
    bool ingress = true;
    std::uint32_t handle = 0;
    std::uint32_t priority = 0;
  };

  void prepare();
  [[nodiscard]] int hang(const Place& place, int program);
  void remove_stale();
  void remove(const Place& place) const;
  void remove_qdisc_if_empty() const;

  std::uint32_t ifindex_;
  bool prepared_ = false;
  bool made_qdisc_ = false;
  bool qdisc_missing_ = false;  ///< it is to be made with the first filter
  std::vector<Place> filters_;
};

/// The calling process, for a program that it loads.
[[nodiscard]] listenq_nic_owner this_process();

/// Whether that process still watches. One of another pid namespace can't be looked up: it counts
/// as gone when it gave no sign for ten minutes of `monotonic_ns`.
[[nodiscard]] bool is_alive(const listenq_nic_owner& owner, std::uint64_t monotonic_ns);

}  // namespace listenq
