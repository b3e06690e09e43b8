// SPDX-License-Identifier: Apache-2.0
//
// Files for the tests of recordings: in memory for those that need thousands, in a directory of
// their own for those that look at names and modes.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "record/format.h"
#include "record/player.h"
#include "record/recorder.h"
#include "sample_text.h"

namespace listenq::test {

using recording::Bytes;

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "listenq-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  Bytes bytes(std::istreambuf_iterator<char>(in), {});
  return bytes;
}

inline void write_file(const std::string& path, std::span<const std::uint8_t> bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

/// What a recording gives: the samples up to its end or its first fault.
struct Played {
  std::vector<std::shared_ptr<const Sample>> samples;
  std::string error;  ///< empty: none
  bool cut_off = false;
};

inline Played play(const std::string& path) {
  Played played;
  Result<Player> player = Player::open(path);
  if (!player) {
    played.error = player.error().message;
    return played;
  }
  for (;;) {
    auto sample = player->next();
    if (!sample) {
      played.error = sample.error().message;
      // An error ends it: no sample may come after one that was skipped.
      EXPECT_EQ(player->next().value(), std::nullopt);
      break;
    }
    if (!*sample) break;
    played.samples.push_back(**sample);
  }
  EXPECT_EQ(player->samples(), played.samples.size());
  played.cut_off = player->cut_off();
  return played;
}

inline Played play(std::span<const std::uint8_t> bytes) {
  const Fd fd{::memfd_create("recording", MFD_CLOEXEC)};
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (count <= 0) throw std::runtime_error("write to a memory file");
    done += static_cast<std::size_t>(count);
  }
  return play("/proc/self/fd/" + std::to_string(fd.get()));
}

inline std::vector<std::string> texts(const std::vector<std::shared_ptr<const Sample>>& samples) {
  std::vector<std::string> out;
  out.reserve(samples.size());
  for (const auto& sample : samples) out.push_back(sample_text(*sample));
  return out;
}

/// The file that a Recorder makes of these.
inline Bytes record(const std::vector<Sample>& samples) {
  const TempDir dir;
  const std::string path = dir.file("recording");
  auto recorder = Recorder::create(path);
  if (!recorder) throw std::runtime_error(recorder.error().message);
  for (const Sample& sample : samples) {
    if (const auto written = recorder->append(sample); !written) {
      throw std::runtime_error(written.error().message);
    }
  }
  return read_file(path);
}

/// A frame with the right length and checksum around any payload.
inline Bytes frame(std::span<const std::uint8_t> payload) {
  Bytes bytes;
  recording::put_u32(bytes, static_cast<std::uint32_t>(payload.size()));
  recording::put_u32(bytes, recording::frame_checksum(payload));
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

/// Header and one intact frame that holds `cbor`.
inline Bytes file_of_cbor(std::span<const std::uint8_t> cbor) {
  Bytes file = recording::file_header();
  const Bytes one = frame(recording::deflate_payload(cbor).value());
  file.insert(file.end(), one.begin(), one.end());
  return file;
}

/// Where each frame ends; the header's end comes first.
inline std::vector<std::size_t> frame_ends(std::span<const std::uint8_t> file) {
  std::vector<std::size_t> ends{recording::kHeaderBytes};
  while (ends.back() < file.size()) {
    const auto length = file.subspan(ends.back()).first<4>();
    ends.push_back(ends.back() + recording::kFrameHeadBytes + recording::get_u32(length));
  }
  return ends;
}

}  // namespace listenq::test
