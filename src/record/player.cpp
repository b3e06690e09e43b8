// SPDX-License-Identifier: Apache-2.0
//
// See player.h.
#include "record/player.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "record/decode.h"
#include "record/format.h"
#include "util/text.h"

namespace listenq {

namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

std::string cannot(const std::string& path, std::string_view why) {
  return fmt::format("cannot replay {}: {}", printable(path), why);
}

}  // namespace

Result<Player> Player::open(const std::string& path) {
  Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    const int error = errno;
    const bool denied = error == EACCES || error == EPERM;
    return failure(denied ? ErrorKind::unsupported : ErrorKind::usage,
                   cannot(path, errno_text(error)));
  }
  if (S_ISDIR(status.st_mode)) {
    return failure(ErrorKind::usage, cannot(path, "it is a directory, give a recording"));
  }
  Player player(std::move(fd), path);
  if (Result<void> begun = player.begin(); !begun) return tl::unexpected<Error>(begun.error());
  return player;
}

Result<void> Player::begin() {
  if (Result<void> header = read_header(); !header) return header;
  Next first = read_sample();
  if (!first) return tl::unexpected<Error>(first.error());
  if (!*first) {
    return bad("it ends before its first sample is whole, so there is nothing to show");
  }
  first_ = **first;
  return {};
}

Result<void> Player::rewind() {
  if (::lseek(fd_.get(), 0, SEEK_SET) != 0) {
    return failure(ErrorKind::usage,
                   fmt::format("{} is a pipe: it can't be played back; save it to a file first",
                               printable(path_)));
  }
  owners_ = nullptr;
  owners_number_ = 0;
  samples_ = 0;
  cut_off_ = false;
  first_ = nullptr;
  Result<void> begun = begin();
  ended_ = !begun;
  return begun;
}

Player::Next Player::next() {
  if (first_ != nullptr) return std::exchange(first_, nullptr);
  if (ended_) return std::nullopt;
  Next sample = read_sample();
  if (!sample || !*sample) ended_ = true;
  return sample;
}

tl::unexpected<Error> Player::bad(const std::string& what) const {
  return failure(ErrorKind::usage, cannot(path_, what));
}

/// Fewer bytes only at the end of the file.
Result<Player::Bytes> Player::read_up_to(std::size_t count) {
  Bytes bytes;
  while (bytes.size() < count) {
    // In pieces: the length comes from the file, and the file may be much shorter than it says.
    const std::size_t done = bytes.size();
    bytes.resize(std::min(count, done + kReadBytes));
    const ssize_t got = ::read(fd_.get(), bytes.data() + done, bytes.size() - done);
    bytes.resize(done + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) break;
    if (got < 0 && errno != EINTR) {
      return failure(ErrorKind::unsupported, cannot(path_, errno_text(errno)));
    }
  }
  return bytes;
}

Result<void> Player::read_header() {
  const Result<Bytes> header = read_up_to(recording::kHeaderBytes);
  if (!header) return tl::unexpected<Error>(header.error());
  if (header->empty()) return bad("it is empty, nothing was recorded");
  const std::size_t magic = std::min(header->size(), recording::kMagic.size());
  if (!std::equal(header->begin(), header->begin() + static_cast<std::ptrdiff_t>(magic),
                  recording::kMagic.begin())) {
    return bad("it is not a recording of listenq-top");
  }
  if (header->size() < recording::kHeaderBytes) {
    return bad("it ends within its header, nothing was recorded");
  }
  const std::uint32_t version = recording::get_u32(std::span(*header).last<4>());
  if (version == 0) return bad("its header is damaged");
  if (version > recording::kVersion) {
    return bad(
        fmt::format("it was made by a newer listenq-top (format {}, this one reads up to "
                    "{}), replay it with that version",
                    version, recording::kVersion));
  }
  return {};
}

Player::Next Player::read_sample() {
  const Result<Bytes> head = read_up_to(recording::kFrameHeadBytes);
  if (!head) return tl::unexpected<Error>(head.error());
  if (head->empty()) return std::nullopt;
  if (head->size() < recording::kFrameHeadBytes) return broken_frame();
  const std::uint32_t length = recording::get_u32(std::span(*head).first<4>());
  const std::uint32_t checksum = recording::get_u32(std::span(*head).last<4>());
  if (length == 0 || length > recording::kMaxPayloadBytes) return broken_frame();

  const Result<Bytes> payload = read_up_to(length);
  if (!payload) return tl::unexpected<Error>(payload.error());
  if (payload->size() < length || recording::frame_checksum(*payload) != checksum) {
    return broken_frame();
  }
  return decode(*payload);
}

Player::Next Player::decode(const Bytes& payload) {
  const std::uint64_t number = samples_ + 1;
  const std::optional<Bytes> plain = recording::inflate_payload(payload);
  if (!plain) {
    return bad(
        fmt::format("sample {} does not unpack, or is larger than any that is recorded", number));
  }
  recording::OwnersInUse owners{owners_, owners_number_};
  Result<Sample> sample = recording::decode_sample(*plain, owners);
  if (!sample) return bad(fmt::format("in sample {}, {}", number, sample.error().message));
  owners_ = std::move(owners.table);
  owners_number_ = owners.number;
  samples_ = number;
  return std::make_shared<const Sample>(std::move(*sample));
}

/// The end of a recording that was cut off, when nothing but zeros follows: after a power loss a
/// file system may give those for what was not yet written. Anything else is damage, and where the
/// next sample would begin is not known.
Player::Next Player::broken_frame() {
  for (;;) {
    const Result<Bytes> rest = read_up_to(kReadBytes);
    if (!rest) return tl::unexpected<Error>(rest.error());
    if (std::any_of(rest->begin(), rest->end(), [](std::uint8_t byte) { return byte != 0; })) {
      return bad(samples_ == 0 ? "it is damaged, not even its first sample can be read"
                               : fmt::format("it is damaged after sample {}, what follows cannot "
                                             "be read",
                                             samples_));
    }
    if (rest->size() < kReadBytes) break;
  }
  cut_off_ = true;
  return std::nullopt;
}

}  // namespace listenq
