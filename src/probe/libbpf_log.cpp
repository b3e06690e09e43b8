// SPDX-License-Identifier: Apache-2.0
//
// See libbpf_log.h.
#include "probe/libbpf_log.h"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>

namespace listenq {
namespace {

std::string& last_warning() {
  static std::string text;
  return text;
}

int keep_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  std::array<char, 512> line{};
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string text = line.data();
  text.resize(text.find_last_not_of('\n') + 1);
  last_warning() = text.substr(0, text.find('\n'));
  return 0;
}

}  // namespace

void keep_libbpf_warnings() {
  libbpf_set_print(keep_warning);
}

std::string last_libbpf_warning() {
  return last_warning();
}

}  // namespace listenq
