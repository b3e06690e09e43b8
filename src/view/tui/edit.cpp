// SPDX-License-Identifier: Apache-2.0
//
// The line at the bottom that is edited: search, filter, and the time to go to in a recording.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "util/clock.h"
#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

std::string utf8(const std::u32string& text) {
  std::string out;
  for (const char32_t code : text) append_utf8(out, code);
  return out;
}

/// "90", "30s", "2m", "1h", fractions too.
std::optional<double> parse_span(std::string_view text) {
  double factor = 1;
  if (!text.empty() && (text.back() == 's' || text.back() == 'm' || text.back() == 'h')) {
    factor = text.back() == 'h' ? 3600 : text.back() == 'm' ? 60 : 1;
    text.remove_suffix(1);
  }
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  constexpr double kLongest = 1e9;  // seconds; in nanoseconds it fits
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value * factor <= kLongest ? std::optional(value * factor) : std::nullopt;
}

/// "14:13" or "14:13:20" as seconds of the day.
std::optional<std::uint64_t> parse_clock(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
  std::uint64_t seconds = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto value = i < parts.size() ? parse_integer(parts[i]) : std::optional<std::int64_t>(0);
    if (!value || *value < 0 || *value > (i == 0 ? 23 : 59)) return std::nullopt;
    seconds = seconds * 60 + static_cast<std::uint64_t>(*value);
  }
  return seconds;
}

std::optional<std::uint64_t> parse_date(const std::string& text) {
  std::tm time{};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (end == nullptr || (*end != '\0' && std::string_view(end) != "Z")) return std::nullopt;
  const time_t seconds = ::timegm(&time);
  if (seconds < 0) return std::nullopt;
  return static_cast<std::uint64_t>(seconds) * kSecondNs;
}

/// The line is a search or a filter: takes it over, or says what is wrong with it.
void finish_search(ScreenState& state, const std::string& text) {
  // An empty line repeats the search before, as in less and vi.
  const bool again = text.empty();
  if (!again) state.search = text;
  state.edit = {};
  search(state, again ? 1 : 0);
}

void finish_filter(ScreenState& state, const std::string& text) {
  auto filter = Filter::parse(text);
  if (!filter) {
    state.edit.error = filter.error().message;
    return;
  }
  state.filter = std::move(*filter);
  state.filter_text = std::string(trimmed(text));
  state.edit = {};
  refresh(state);
}

KeyResult finish_seek(ScreenState& state, const std::string& text) {
  const auto moment = parse_moment(text, state);
  if (!moment) {
    state.edit.error =
        "give a time (UTC) such as 14:13:20, a step such as +30s, -2m or -1h, start, or end";
    return {};
  }
  state.edit = {};
  return {.playback = PlaybackCommand{PlaybackCommand::Kind::seek, *moment}};
}

KeyResult finish_edit(ScreenState& state) {
  const std::string text = utf8(state.edit.text);
  switch (state.edit.prompt) {
    case Prompt::search:
      finish_search(state, text);
      break;
    case Prompt::filter:
      finish_filter(state, text);
      break;
    case Prompt::seek:
      return finish_seek(state, text);
    case Prompt::none:
      break;
  }
  return {};
}

void edit_character(LineEdit& edit, char32_t code) {
  if (code == control('u')) {
    edit.text.erase(0, edit.cursor);
    edit.cursor = 0;
  } else if (code == control('w')) {
    std::size_t start = edit.cursor;
    while (start > 0 && edit.text[start - 1] == U' ') --start;
    while (start > 0 && edit.text[start - 1] != U' ') --start;
    edit.text.erase(start, edit.cursor - start);
    edit.cursor = start;
  } else if (code == control('a')) {
    edit.cursor = 0;
  } else if (code == control('e')) {
    edit.cursor = edit.text.size();
  } else if (cell_width(code) > 0) {
    edit.text.insert(edit.cursor++, 1, code);
  }
}

}  // namespace

std::optional<std::uint64_t> parse_moment(std::string_view text, const ScreenState& state) {
  text = trimmed(text);
  if (text.empty() || !state.shown.snapshot) return std::nullopt;
  const std::uint64_t now = state.shown.snapshot->sample->wall_ns;
  if (text == "start") return 0;
  if (text == "end") return UINT64_MAX;
  if (text.front() == '+' || text.front() == '-') {
    const auto span = parse_span(text.substr(1));
    if (!span) return std::nullopt;
    const auto step = static_cast<std::uint64_t>(*span * 1e9);
    if (text.front() == '+') return now + step;
    return now - std::min(now, step);
  }
  if (const auto clock = parse_clock(text)) {
    // Of the day shown; seconds are whole, and what lies within that second belongs to it.
    constexpr std::uint64_t kDay = 86400 * kSecondNs;
    return now / kDay * kDay + *clock * kSecondNs + kSecondNs - 1;
  }
  return parse_date(std::string(text));
}

void open_edit(ScreenState& state, Prompt prompt) {
  state.edit = {};
  state.edit.prompt = prompt;
  // The filter in force is there to be changed; a search begins anew.
  const std::string_view text =
      prompt == Prompt::filter ? std::string_view(state.filter_text) : std::string_view{};
  state.edit.text = decode_utf8(text);
  state.edit.cursor = state.edit.text.size();
}

KeyResult edit_key(ScreenState& state, Key key) {
  LineEdit& edit = state.edit;
  edit.error.clear();
  switch (key.code) {
    case KeyCode::enter:
      return finish_edit(state);
    case KeyCode::escape:
      edit = {};
      break;
    case KeyCode::backspace:
      if (edit.cursor > 0) edit.text.erase(--edit.cursor, 1);
      break;
    case KeyCode::del:
      if (edit.cursor < edit.text.size()) edit.text.erase(edit.cursor, 1);
      break;
    case KeyCode::left:
      if (edit.cursor > 0) --edit.cursor;
      break;
    case KeyCode::right:
      if (edit.cursor < edit.text.size()) ++edit.cursor;
      break;
    case KeyCode::home:
      edit.cursor = 0;
      break;
    case KeyCode::end:
      edit.cursor = edit.text.size();
      break;
    case KeyCode::character:
      if (key.value == control('l')) return {.repaint = true};
      edit_character(edit, key.value);
      break;
    default:
      break;
  }
  return {};
}

}  // namespace listenq::tui
