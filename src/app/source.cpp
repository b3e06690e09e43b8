// SPDX-License-Identifier: Apache-2.0
//
// See source.h.
#include "app/source.h"

#include <fmt/format.h>

#include <utility>

#include "record/player.h"

namespace listenq {
namespace {

class LiveSource final : public Source {
 public:
  LiveSource(std::unique_ptr<Collector> collector, bool native_xdp)
      : collector_(std::move(collector)), native_xdp_(native_xdp) {}

  Result<std::shared_ptr<const Sample>> next() override { return collector_->sample(); }
  [[nodiscard]] bool live() const override { return true; }
  Result<void> rewind() override {
    return failure(ErrorKind::usage, "what happens now can't be played again; record it");
  }
  void want(const Wanted& wanted) override { collector_->want(wanted); }

  [[nodiscard]] std::string note() const override {
    std::string reading = reading_note();
    if (!native_xdp_) return reading;
    return fmt::format(
        "native XDP: some drivers reset the link when it is attached and detached{}{}",
        reading.empty() ? "" : "; ", reading);
  }
  [[nodiscard]] std::string closing_note() const override { return ""; }

 private:
  [[nodiscard]] std::string reading_note() const {
    const Probe& probe = collector_->probe();
    const Fact& namespaces = probe.facts[Feature::namespaces];
    if (!namespaces.have && !probe.facts[Feature::bpf].have) {
      return "without root: only this network namespace and your own processes, and no SYN queue; "
             "as root it shows every namespace, both queues and all owners";
    }
    if (!namespaces.have) {
      return fmt::format("only this network namespace: {}", namespaces.why_not);
    }
    if (!probe.plan.why_not_better.empty()) {
      return fmt::format("backend diag, so no SYN queue: {}", probe.plan.why_not_better);
    }
    return "";
  }

  std::unique_ptr<Collector> collector_;
  bool native_xdp_;
};

class ReplaySource final : public Source {
 public:
  explicit ReplaySource(Player player) : player_(std::move(player)) {}

  Result<std::shared_ptr<const Sample>> next() override {
    auto sample = player_.next();
    cut_off_ = cut_off_ || player_.cut_off();
    if (!sample) return tl::unexpected<Error>(sample.error());
    return sample->value_or(nullptr);
  }
  [[nodiscard]] bool live() const override { return false; }
  Result<void> rewind() override { return player_.rewind(); }
  void want(const Wanted& /*wanted*/) override {}
  [[nodiscard]] std::string note() const override { return ""; }
  [[nodiscard]] std::string closing_note() const override {
    return cut_off_ ? "the recording was cut off: its last sample is not whole and was left out"
                    : "";
  }

 private:
  Player player_;
  bool cut_off_ = false;  ///< as was seen, wherever it is played now
};

}  // namespace

Result<std::unique_ptr<Source>> open_source(const Options& options) {
  if (options.command == Command::replay) {
    auto player = Player::open(options.file);
    if (!player) return tl::unexpected<Error>(player.error());
    return std::make_unique<ReplaySource>(std::move(*player));
  }
  auto probe = open_probe(options.probe);
  if (!probe) return tl::unexpected<Error>(probe.error());
  auto collector = Collector::create(std::move(*probe), options.collect);
  if (!collector) return tl::unexpected<Error>(collector.error());
  const NicOptions& nic = options.collect.nic;
  const bool native_xdp = nic.which != NicOptions::Which::none && nic.mode == NicMode::xdp;
  return std::make_unique<LiveSource>(std::move(*collector), native_xdp);
}

}  // namespace listenq
