// SPDX-License-Identifier: Apache-2.0
//
// See libbpf_log.h.
#include "probe/libbpf_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

struct Kept {
  std::string warning;  ///< the last
  std::string reason;   ///< of the verifier
};

Kept& kept() {
  static Kept texts;
  return texts;
}

int keep_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, arguments);
  text.pop_back();
  if (std::string reason = verifier_reason(text); !reason.empty()) {
    kept().reason = std::move(reason);
  }
  kept().warning = text.substr(0, text.find('\n'));
  return 0;
}

}  // namespace

void keep_libbpf_warnings() {
  kept() = {};
  libbpf_set_print(keep_warning);
}

std::string last_libbpf_warning() {
  return kept().reason.empty() ? kept().warning : kept().reason;
}

/// "libbpf: prog 'NAME': -- BEGIN PROG LOAD LOG --", the log with the reason in its last line but
/// for a summary, and "-- END PROG LOAD LOG --".
std::string verifier_reason(std::string_view warning) {
  constexpr std::string_view kBegin = "-- BEGIN PROG LOAD LOG --";
  const std::size_t begin = warning.find(kBegin);
  if (begin == std::string_view::npos) return "";
  std::string_view reason;
  for (const std::string_view line : split(warning.substr(begin + kBegin.size()), '\n')) {
    if (line.starts_with("processed ") || line.starts_with("-- END ")) break;
    if (!line.empty()) reason = line;
  }
  if (reason.empty()) return "";
  return std::string(warning.substr(0, begin)).append(reason);
}

}  // namespace listenq
