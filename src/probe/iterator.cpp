// SPDX-License-Identifier: Apache-2.0
//
// See iterator.h.
#include "probe/iterator.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "util/fd.h"
#include "util/result.h"

namespace listenq {

std::string read_records(int fd, std::size_t record_size, Eagain eagain, const TakeRecord& take) {
  alignas(8) static thread_local std::array<char, 64UL * 1024> buffer;
  std::size_t held = 0;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data() + held, buffer.size() - held);
    if (got < 0 && errno == EINTR) continue;
    const bool stopped = got < 0 && errno == EAGAIN && eagain == Eagain::is_the_end;
    if (got < 0 && !stopped) return fmt::format("reading the iterator: {}", errno_text(errno));
    if (got <= 0) return held == 0 ? "" : "the iterator stopped inside a record";
    held += static_cast<std::size_t>(got);
    std::size_t used = 0;
    for (; held - used >= record_size; used += record_size) take(buffer.data() + used);
    std::memmove(buffer.data(), buffer.data() + used, held - used);
    held -= used;
  }
}

std::string run_iterator(int link, std::size_t record_size, Eagain eagain, const TakeRecord& take) {
  // The network namespace of an iterator is that of the thread which makes this descriptor.
  const Fd iterator(bpf_iter_create(link));
  if (!iterator) return fmt::format("no iterator: {}", errno_text(errno));
  return read_records(iterator.get(), record_size, eagain, take);
}

}  // namespace listenq
