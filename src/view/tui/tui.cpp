// SPDX-License-Identifier: Apache-2.0
//
// Tui: joins the screen's state to the terminal.
#include "view/tui/tui.h"

#include "util/clock.h"
#include "view/tui/pages.h"
#include "view/tui/settings.h"

namespace listenq::tui {

namespace {

/// Columns from the command line go before those that were saved; what is wrong with these is said
/// on the screen.
void take_settings(ScreenState& state) {
  const auto settings = load_settings(settings_directory());
  if (!settings) {
    state.message = settings.error().message;
    return;
  }
  if (!state.columns.empty()) return;
  for (const std::string& id : settings->columns) {
    if (const auto column = find_column(id)) state.columns.push_back(*column);
  }
}

/// Once the page that chooses them is left.
void save_columns(ScreenState& state) {
  if (!state.columns_changed || state.page() == Page::columns) return;
  state.columns_changed = false;
  Settings settings;
  for (const ColumnChoice& column : state.columns) settings.columns.emplace_back(column_id(column));
  if (auto saved = save_settings(settings_directory(), settings); !saved) {
    state.message = saved.error().message;
  }
}

}  // namespace

Result<std::unique_ptr<Tui>> Tui::open(TuiOptions options) {
  ScreenState state;
  auto filter = Filter::parse(options.filter);
  if (!filter) return tl::unexpected<Error>(filter.error());
  state.filter = std::move(*filter);
  state.filter_text = std::move(options.filter);
  state.sort = options.sort;
  for (const Field* field : options.columns) {
    state.columns.push_back(*find_column(field->id));
  }
  take_settings(state);
  state.interval_seconds = options.interval_seconds;
  auto terminal = Terminal::open({.ascii = options.ascii});
  if (!terminal) return tl::unexpected<Error>(terminal.error());
  return std::unique_ptr<Tui>(new Tui(std::move(*terminal), std::move(state)));
}

Tui::Tui(std::unique_ptr<Terminal> terminal, ScreenState state)
    : terminal_(std::move(terminal)), state_(std::move(state)) {
  set_size(state_, terminal_->rows(), terminal_->columns());
  draw();
}

void Tui::draw() {
  state_.now_ns = monotonic_ns();
  Canvas canvas(state_.height, state_.width, terminal_->charset());
  const auto cursor = draw_screen(canvas, state_);
  terminal_->draw(canvas, cursor ? cursor->row : -1, cursor ? cursor->column : -1);
}

void Tui::show(std::shared_ptr<const Snapshot> snapshot) {
  tui::show(state_, std::move(snapshot), monotonic_ns());
  draw();
}

TuiAction Tui::on_input() {
  TuiAction action;
  bool pressed = false;
  for (const Key key : terminal_->read_keys()) {
    pressed = true;
    const KeyResult result = handle_key(state_, key);
    action.quit = action.quit || result.quit;
    if (result.interval_seconds) action.interval_seconds = result.interval_seconds;
    save_columns(state_);
    if (result.playback) action.playback.push_back(*result.playback);
    if (result.repaint) terminal_->repaint();
  }
  action.quit = action.quit || terminal_->closed();
  if (pressed && !action.quit) draw();
  return action;
}

void Tui::on_resize() {
  if (!terminal_->resize()) return;
  set_size(state_, terminal_->rows(), terminal_->columns());
  draw();
}

void Tui::suspend() {
  terminal_->suspend();
}

void Tui::resume() {
  terminal_->resume();
  set_size(state_, terminal_->rows(), terminal_->columns());
  draw();
}

void Tui::tick() {
  if (state_.shown.snapshot) draw();
}

void Tui::say(std::string sentence) {
  state_.message = std::move(sentence);
  draw();
}

void Tui::set_playback(const std::optional<Playback>& playback) {
  state_.playback = playback;
}

void Tui::pass_by(std::shared_ptr<const Snapshot> snapshot) {
  tui::show(state_, std::move(snapshot), monotonic_ns());
}

void Tui::restart() {
  tui::restart(state_);
}

const RawListener* Tui::close_up() const {
  if (!state_.detail || state_.page() != Page::detail || !state_.shown.snapshot) return nullptr;
  const Subject subject = subject_of(*state_.shown.snapshot, *state_.detail);
  return subject.row != nullptr && subject.closed == nullptr ? subject.row->raw : nullptr;
}

bool Tui::wants_program_times() const {
  return state_.page() == Page::cost;
}

}  // namespace listenq::tui
