// SPDX-License-Identifier: Apache-2.0
//
// See settings.h.
#include "view/tui/settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "model/fields.h"
#include "util/fd.h"
#include "util/text.h"
#include "view/tui/columns.h"

namespace listenq::tui {
namespace {

constexpr std::string_view kFile = "/screen.conf";
constexpr std::string_view kTitle = "# listenq-top: what was chosen on its screen";
constexpr std::size_t kMostBytes = std::size_t{64} << 10;
constexpr mode_t kOwnFile = 0600;
constexpr mode_t kOwnDirectory = 0700;

tl::unexpected<Error> not_loaded(const std::string& path, std::string_view why) {
  return failure(ErrorKind::usage, fmt::format("settings in {} are not used: {}; remove or correct "
                                               "the file",
                                               printable(path), why));
}

tl::unexpected<Error> not_saved(const std::string& path, std::string_view why) {
  return failure(ErrorKind::unsupported,
                 fmt::format("settings are not saved in {}: {}", printable(path), why));
}

/// nullopt: there is none. An error has the reason alone.
Result<std::optional<std::string>> read_whole(const std::string& path) {
  // Non-blocking: a pipe in its place must not hold up the start.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return failure(ErrorKind::unsupported, errno_text(errno));
  }
  if (!S_ISREG(status.st_mode)) return failure(ErrorKind::usage, "it is not a file");
  std::string text(kMostBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(ErrorKind::unsupported, errno_text(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMostBytes) return failure(ErrorKind::usage, "it is too large");
  text.resize(size);
  return text;
}

void read_columns(std::string_view value, std::vector<std::string>& columns) {
  for (const std::string_view id : split(value, ',')) {
    const bool again = std::find(columns.begin(), columns.end(), id) != columns.end();
    if (find_column(id) && !again) columns.emplace_back(id);
  }
}

std::string text_of(const Settings& settings) {
  return fmt::format("{}\ncolumns={}\n", kTitle, fmt::join(settings.columns, ","));
}

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::write(fd, text.data(), text.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// With those above it, as far as they are missing.
bool make_directory(const std::string& path) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), kOwnDirectory) != 0 && errno != EEXIST) {
      // One that is there may be on a file system that can't make any.
      struct stat status {};
      const int error = errno;
      if (::stat(part.c_str(), &status) != 0) {
        errno = error;
        return false;
      }
    }
    if (at == std::string::npos) return true;
  }
}

}  // namespace

std::string settings_directory() {
  const auto absolute = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string_view(value != nullptr && *value == '/' ? value : "");
  };
  if (const auto config = absolute("XDG_CONFIG_HOME"); !config.empty()) {
    return fmt::format("{}/listenq-top", config);
  }
  if (const auto home = absolute("HOME"); !home.empty()) {
    return fmt::format("{}/.config/listenq-top", home);
  }
  return "";
}

Result<Settings> load_settings(const std::string& directory) {
  Settings settings;
  if (directory.empty()) return settings;
  const std::string path = directory + std::string(kFile);
  const auto text = read_whole(path);
  if (!text) return not_loaded(path, text.error().message);
  if (!*text) return settings;
  for (const std::string_view line : split(**text, '\n')) {
    if (line.empty() || line.front() == '#') continue;
    const std::size_t equals = line.find('=');
    const bool readable = std::none_of(line.begin(), line.end(), [](char c) {
      return static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\r';
    });
    if (equals == std::string_view::npos || !readable) {
      return not_loaded(path, "it is none that listenq-top wrote");
    }
    std::string_view value = line.substr(equals + 1);
    if (value.ends_with('\r')) value.remove_suffix(1);
    if (line.substr(0, equals) != "columns") continue;
    settings.columns.clear();
    read_columns(value, settings.columns);
  }
  return settings;
}

Result<void> save_settings(const std::string& directory, const Settings& settings) {
  if (directory.empty()) {
    return failure(ErrorKind::unsupported,
                   "settings are not saved: neither XDG_CONFIG_HOME nor HOME names a directory");
  }
  const std::string path = directory + std::string(kFile);
  if (const auto present = load_settings(directory); !present) {
    return tl::unexpected<Error>(present.error());
  }
  if (!make_directory(directory)) return not_saved(path, errno_text(errno));
  // A name that nobody can foresee, made anew: neither a link nor another's file is written to.
  std::string temporary = path + ".XXXXXX";
  const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return not_saved(path, errno_text(errno));
  const bool written = ::fchmod(fd.get(), kOwnFile) == 0 &&
                       write_whole(fd.get(), text_of(settings)) &&
                       std::rename(temporary.c_str(), path.c_str()) == 0;
  if (written) return {};
  const int error = errno;
  ::unlink(temporary.c_str());
  return not_saved(path, errno_text(error));
}

}  // namespace listenq::tui
