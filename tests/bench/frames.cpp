// SPDX-License-Identifier: Apache-2.0
//
// listenq_frames [ROUNDS]: what one frame of the screen takes with 10,000 made-up listeners,
// measured inside: no kernel, no terminal. Prints JSON, milliseconds by what was measured; started
// by frame_times.cpp.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tui_world.h"

namespace listenq::tui {
namespace {

constexpr int kListeners = 10000;

/// All listeners match, so that all of them are sorted too.
constexpr std::array<const char*, 2> kFilters = {"process ~ worker and accept_queue_limit > 1",
                                                 "process ~ worker and accept_queue_limit > 2"};

double now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

class Frames {
 public:
  Frames() {
    snapshot_ = large_machine(world_, kListeners);
    owners_ = std::make_shared<OwnerTable>(world_.owners);
  }

  void round() {
    next_sample();
    measure_size(40, 120);
    measure_size(100, 400);
    ++rounds_;
  }

  [[nodiscard]] std::string json() const {
    return nlohmann::json{{"listeners", kListeners}, {"milliseconds", times_}}.dump();
  }

 private:
  struct Size {
    explicit Size(int height, int width)
        : canvas(height, width, Charset::utf8),
          name(" on " + std::to_string(width) + "x" + std::to_string(height)) {
      set_size(plain, height, width);
      set_size(filtered, height, width);
    }
    ScreenState plain;
    ScreenState filtered;
    Canvas canvas;
    std::string name;
  };

  /// Queues change everywhere, so that no order is that of the sample before.
  void next_sample() {
    std::uint32_t index = 0;
    for (RawListener& listener : world_.sample.listeners) {
      if (++index % 100 != 0) {
        listener.accept_queue_len = (index * 7 + static_cast<std::uint32_t>(rounds_) * 3) % 20;
      } else if (listener.sk_drops) {
        *listener.sk_drops += index % 7;
      }
    }
    auto sample = std::make_shared<Sample>(world_.sample);
    sample->owners = owners_;
    world_.sample.wall_ns += kSecond;
    world_.sample.monotonic_ns += kSecond;
    const double start = now_ms();
    snapshot_ = world_.deriver.derive(std::move(sample));
    if (rounds_ > 0) times_["a Snapshot derived from a sample"].push_back(now_ms() - start);
  }

  template <class Work>
  double timed(const std::string& what, Work work) {
    const double start = now_ms();
    work();
    const double took = now_ms() - start;
    if (rounds_ > 0) times_[what].push_back(took);  // the first one warms the caches
    return took;
  }

  void type(ScreenState& state, std::string_view text) {
    press(state, "f\x15");  // whatever the prompt began with is wiped out
    press(state, text);
  }

  void measure_size(int height, int width) {
    auto& slot = sizes_[width];
    if (!slot) slot = std::make_unique<Size>(height, width);
    Size& size = *slot;
    const auto draw = [&](const ScreenState& state) {
      size.canvas = Canvas(size.canvas.rows(), size.canvas.columns(), Charset::utf8);
      draw_screen(size.canvas, state);
    };
    const std::uint64_t now = world_.sample.monotonic_ns;
    const auto key = [](KeyCode code) { return Key{.code = code}; };

    size.plain.now_ns = size.filtered.now_ns = now;
    const double shown =
        timed("sorted by trouble" + size.name, [&] { show(size.plain, snapshot_, now); });
    const double drawn = timed("drawn" + size.name, [&] { draw(size.plain); });
    if (rounds_ > 0) times_["sorted and drawn" + size.name].push_back(shown + drawn);
    timed("cursor key until drawn" + size.name, [&] {
      handle_key(size.plain, key(KeyCode::down));
      draw(size.plain);
    });

    timed("filtered, sorted and drawn" + size.name, [&] {
      show(size.filtered, snapshot_, now);
      draw(size.filtered);
    });
    type(size.filtered, kFilters.at(static_cast<std::size_t>(rounds_) % kFilters.size()));
    timed("changed filter until drawn" + size.name, [&] {
      handle_key(size.filtered, key(KeyCode::enter));
      draw(size.filtered);
    });
    check(size);
  }

  /// A frame without its rows would be a fast one.
  void check(const Size& size) const {
    const bool drawn = size.canvas.to_text().find("worker-") != std::string::npos;
    if (drawn && !size.filtered.filter_text.empty()) return;
    std::fprintf(stderr, "listenq_frames: no listener is shown with the filter \"%s\"\n",
                 size.filtered.filter_text.c_str());
    std::exit(1);
  }

  World world_;
  std::shared_ptr<const OwnerTable> owners_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<int, std::unique_ptr<Size>> sizes_;
  std::map<std::string, std::vector<double>> times_;
  int rounds_ = 0;
};

}  // namespace
}  // namespace listenq::tui

int main(int argc, char** argv) {
  try {
    const long rounds = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 100;
    listenq::tui::Frames frames;
    for (long i = 0; i <= rounds; ++i) frames.round();
    std::printf("%s\n", frames.json().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "listenq_frames: %s\n", error.what());
    return 1;
  }
}
