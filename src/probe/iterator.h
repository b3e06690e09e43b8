// SPDX-License-Identifier: Apache-2.0
//
// Reads a BPF iterator to its end, record by record. Called by those that hold the programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace listenq {

/// What EAGAIN means: some programs end their walk by it on purpose, after all that they had was
/// read; of others it is an error.
enum class Eagain : std::uint8_t { is_the_end, is_an_error };

/// One record, aligned for any member up to 8 bytes; valid during the call.
using TakeRecord = std::function<void(const void*)>;

/// Reads records of `record_size` bytes (a multiple of 8, or of no interest) until the end. The
/// text of an error, or "".
[[nodiscard]] std::string read_records(int fd, std::size_t record_size, Eagain eagain,
                                       const TakeRecord& take);

/// Runs the iterator behind the link in the calling thread's network namespace.
[[nodiscard]] std::string run_iterator(int link, std::size_t record_size, Eagain eagain,
                                       const TakeRecord& take);

}  // namespace listenq
