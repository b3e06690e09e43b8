// SPDX-License-Identifier: Apache-2.0
//
// The files of a web configuration, and whether they have changed.
#include "web/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "util/fd.h"
#include "web/config_reader.h"
#include "web/yaml.h"

namespace listenq::web {
namespace {

/// A whole chain of certificates, or some thousand users.
constexpr std::size_t kLargest = 1024UL * 1024;

Result<std::string> read_regular_file(const std::string& path) {
  const auto cannot = [&](const std::string& why) {
    return failure(ErrorKind::unsupported, "can't read " + path + ": " + why);
  };
  // Not to wait for who writes into a pipe.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return cannot(errno_text(errno));
  struct stat status {};
  if (fstat(fd.get(), &status) < 0) return cannot(errno_text(errno));
  if (S_ISDIR(status.st_mode)) return cannot(errno_text(EISDIR));
  if (!S_ISREG(status.st_mode)) return cannot("it is no regular file");
  std::string contents;
  std::array<char, 16384> block{};
  for (;;) {
    const ssize_t got = ::read(fd.get(), block.data(), block.size());
    if (got < 0) return cannot(errno_text(errno));
    if (got == 0) return contents;
    contents.append(block.data(), static_cast<std::size_t>(got));
    if (contents.size() > kLargest) return cannot("it is larger than 1 MiB");
  }
}

}  // namespace

WebConfigFile::Seen WebConfigFile::look_at(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) < 0) return {path, 0, 0, 0};
  constexpr std::int64_t kSecond = 1'000'000'000;
  return {path, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          status.st_ctim.tv_sec * kSecond + status.st_ctim.tv_nsec};
}

Result<WebConfig> WebConfigFile::read() {
  seen_.clear();
  // Looked at before it is read: what is written meanwhile has changed since.
  seen_.push_back(look_at(path_));
  const auto contents = read_regular_file(path_);
  if (!contents) return tl::unexpected<Error>(contents.error());
  const auto tree = parse_yaml(*contents);
  if (!tree) {
    return failure(ErrorKind::usage,
                   path_ + ":" + std::to_string(tree.error().line) + ": " + tree.error().message);
  }
  const std::size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : path_.substr(0, slash + 1);
  ConfigReader reader(path_, [&](const std::string& name) -> Result<std::string> {
    const std::string path = name.starts_with('/') ? name : folder + name;
    seen_.push_back(look_at(path));
    return read_regular_file(path);
  });
  return reader.read(*tree);
}

bool WebConfigFile::changed() const {
  return std::any_of(seen_.begin(), seen_.end(),
                     [](const Seen& seen) { return look_at(seen.path) != seen; });
}

}  // namespace listenq::web
