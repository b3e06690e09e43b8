// SPDX-License-Identifier: Apache-2.0
//
// See recorder.h.
#include "record/recorder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "record/encode.h"
#include "record/format.h"
#include "util/text.h"

namespace listenq {

namespace {

tl::unexpected<Error> cannot(ErrorKind kind, const std::string& path, std::string_view why) {
  return failure(kind, fmt::format("cannot record to {}: {}", printable(path), why));
}

tl::unexpected<Error> cannot_open(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return cannot(ErrorKind::usage, path, "its directory does not exist");
    case EISDIR:
      return cannot(ErrorKind::usage, path, "it is a directory, give a file name");
    case ELOOP:
      return cannot(ErrorKind::usage, path, "it is a symbolic link, name the file itself");
    case ENAMETOOLONG:
      return cannot(ErrorKind::usage, path, "the name is too long");
    default:
      return cannot(ErrorKind::unsupported, path, errno_text(error));
  }
}

/// A file that was there before: only an empty one that is ours, for a file of another user stays
/// readable by that user whatever its mode says.
Result<Fd> open_existing(const std::string& path) {
  // Not blocking, or the open of a named pipe would wait for a reader.
  Fd fd{::open(path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  struct stat status {};
  if (!fd && errno == ENXIO) return cannot(ErrorKind::usage, path, "it is not a regular file");
  if (!fd || ::fstat(fd.get(), &status) != 0) return cannot_open(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return cannot(ErrorKind::usage, path, "it is not a regular file");
  }
  if (status.st_size != 0) {
    return cannot(ErrorKind::usage, path,
                  "the file exists already, remove it or choose another name");
  }
  if (status.st_uid != ::geteuid()) {
    return cannot(ErrorKind::usage, path,
                  "the file belongs to another user, remove it or choose another name");
  }
  if (::fchmod(fd.get(), 0600) != 0) return cannot_open(path, errno);
  return fd;
}

}  // namespace

Recorder::Recorder(Fd fd, std::string path, bool made_here)
    : fd_(std::move(fd)), path_(std::move(path)), made_here_(made_here) {}

Recorder::~Recorder() {
  if (fd_ && made_here_ && length_ == 0) ::unlink(path_.c_str());
}

Result<Recorder> Recorder::create(const std::string& path) {
  if (path.empty() || path == "-") {
    return failure(ErrorKind::usage,
                   "record needs the name of a file, it cannot write to standard output");
  }
  Fd fd{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (fd) return Recorder(std::move(fd), path, true);
  if (errno != EEXIST) return cannot_open(path, errno);
  Result<Fd> existing = open_existing(path);
  if (!existing) return tl::unexpected<Error>(existing.error());
  return Recorder(std::move(*existing), path, false);
}

Result<void> Recorder::append(const Sample& sample) {
  // Mostly the very same table; one that was read anew with the same content counts as the same.
  std::vector<std::uint8_t> new_owners;
  std::uint64_t number = 0;
  if (sample.owners != nullptr) {
    number = owners_number_;
    if (sample.owners != owners_) {
      new_owners = recording::encode_owners(*sample.owners);
      if (new_owners == owners_bytes_) {
        new_owners.clear();
      } else {
        ++number;
      }
    }
  }
  const recording::Bytes cbor =
      recording::encode_sample(sample, number, new_owners.empty() ? nullptr : &new_owners);
  std::optional<recording::Bytes> payload;
  if (recording::is_bounded_cbor(cbor) &&
      (new_owners.empty() || recording::is_bounded_cbor(new_owners))) {
    payload = recording::deflate_payload(cbor);
  }
  if (!payload) {
    return cannot(ErrorKind::unsupported, path_, "a sample is larger than a recording can hold");
  }

  recording::Bytes bytes = length_ == 0 ? recording::file_header() : recording::Bytes{};
  recording::put_u32(bytes, static_cast<std::uint32_t>(payload->size()));
  recording::put_u32(bytes, recording::frame_checksum(*payload));
  bytes.insert(bytes.end(), payload->begin(), payload->end());
  if (Result<void> written = write_all(bytes); !written) return written;

  if (sample.owners != nullptr) owners_ = sample.owners;
  if (!new_owners.empty()) {
    owners_bytes_ = std::move(new_owners);
    owners_number_ = number;
  }
  return {};
}

Result<void> Recorder::write_all(const std::vector<std::uint8_t>& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(fd_.get(), bytes.data() + done, bytes.size() - done);
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      const int error = count == 0 ? ENOSPC : errno;
      // What follows a torn sample could not be read: cut it away. If even that fails the caller
      // still stops here, and the torn sample is the last one.
      (void)!::ftruncate(fd_.get(), static_cast<off_t>(length_));
      return cannot(ErrorKind::unsupported, path_,
                    fmt::format("{}; what was recorded until now is whole", errno_text(error)));
    }
  }
  length_ += bytes.size();
  return {};
}

}  // namespace listenq
