// SPDX-License-Identifier: Apache-2.0
//
// The program: parse, run, exit. All else is in the library beside it, so that tests can link it.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "app/options.h"
#include "app/run.h"

int main(int argc, char** argv) {
  // Every sample grows and frees the same tables. From a heap that is kept they cost no page
  // faults; mapped and unmapped each time these were a quarter of `--once` with 10,000 listeners.
  constexpr int kKeep = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kKeep);
  mallopt(M_TRIM_THRESHOLD, kKeep);
  // Samples are made by one thread and freed by another; a heap for each kept 2 MB more.
  mallopt(M_ARENA_MAX, 1);
  try {
    const listenq::Parsed parsed = listenq::parse_options(argc, argv, isatty(STDOUT_FILENO) != 0);
    if (!parsed.options) {
      std::fputs(parsed.text.c_str(), parsed.exit_code == 0 ? stdout : stderr);
      return parsed.exit_code;
    }
    return listenq::run(*parsed.options);
  } catch (const std::exception& error) {
    // Out of memory, or a defect; whatever was open has been closed on the way here.
    std::fprintf(stderr, "listenq-top: can't go on: %s\n", error.what());
    return 3;
  }
}
