// SPDX-License-Identifier: Apache-2.0
//
// make_recordings DIRECTORY: writes the stories there as recordings. Run by hand when a story
// changes; golden_test fails until it was.
#include <cstdio>
#include <filesystem>

#include "record/recorder.h"
#include "stories.h"

namespace {

listenq::Result<void> write_story(const std::string& path, const listenq::test::Story& story) {
  std::filesystem::remove(path);
  auto recorder = listenq::Recorder::create(path);
  if (!recorder) return tl::unexpected<listenq::Error>(recorder.error());
  for (const listenq::Sample& sample : story.samples) {
    if (auto written = recorder->append(sample); !written) return written;
  }
  std::filesystem::permissions(path, std::filesystem::perms(0644));  // holds nobody's secrets
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_recordings DIRECTORY\n", stderr);
    return 2;
  }
  for (const listenq::test::Story& story : listenq::test::stories()) {
    const std::string path = std::string(argv[1]) + "/" + story.name + ".lqrec";
    if (const auto written = write_story(path, story); !written) {
      std::fprintf(stderr, "make_recordings: %s\n", written.error().message.c_str());
      return 1;
    }
    std::printf("%s: %zu samples\n", path.c_str(), story.samples.size());
  }
}
