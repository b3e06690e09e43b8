// SPDX-License-Identifier: Apache-2.0
//
// One listener in words, for the lines below the table. Only what its row holds; what the row does
// not know is called unknown.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

/// Adds ", more" or "; more" where something stands before it.
void join(std::string& text, std::string_view separator, std::string_view more) {
  if (more.empty()) return;
  if (!text.empty()) text += separator;
  text += more;
}

std::string field_text(std::string_view id, const ListenerRow& row) {
  const Field* field = find_field(id);
  return field == nullptr ? std::string("-") : display(*field, field->get(row));
}

std::string owner(const ListenerRow& row) {
  if (row.pids.empty()) return "process unknown";
  std::string text = fmt::format(
      "{} pid {}", row.process ? printable(row.process->name) : "process", row.pids.front());
  if (row.pids.size() > 1) text += fmt::format(" and {} more", row.pids.size() - 1);
  return text;
}

/// The longest since the sample before, where that says more than the length now.
std::string peak_text(const std::optional<std::uint32_t>& peak, std::uint32_t len) {
  return peak && *peak > len ? fmt::format(" (peak {})", *peak) : std::string();
}

std::string accept_queue(const ListenerRow& row) {
  const auto len = row.raw->accept_queue_len;
  const auto limit = row.raw->accept_queue_limit;
  const std::string peak = peak_text(row.accept_queue_peak, len);
  if (len == 0) return fmt::format("accept queue empty{}, limit {}", peak, limit);
  std::string oldest;
  if (row.raw->oldest_wait_ns) {
    oldest = fmt::format(", the oldest for {}", field_text("oldest_wait_seconds", row));
  }
  const bool nearly = row.accept_queue_fill >= 0.8 && row.accept_queue_fill < 1.0;
  return fmt::format("accept queue{}: {} wait{} for accept(){}{}, limit {}",
                     nearly ? " nearly full" : "", len, len == 1 ? "s" : "", oldest, peak, limit);
}

std::string limit_origin(const ListenerRow& row) {
  std::string text;
  const auto& somaxconn = row.netns->raw->sysctls.somaxconn;
  switch (row.limit_set_by) {
    case LimitSetBy::application:
      text = "limit set by the application";
      if (somaxconn) text += fmt::format(" (somaxconn {})", *somaxconn);
      break;
    case LimitSetBy::somaxconn:
      text = "limit set by somaxconn";
      if (row.raw->listen_requested) {
        text += fmt::format(", listen() asked for {}", *row.raw->listen_requested);
      }
      break;
    case LimitSetBy::unknown:
      text = "what set the limit is unknown";
      break;
  }
  if (row.somaxconn_raised_since.value_or(false)) {
    text += somaxconn
                ? fmt::format(", raised to {} since: a new listen() would get more", *somaxconn)
                : std::string(", raised since: a new listen() would get more");
  }
  return text;
}

std::string sk_drops(const ListenerRow& row) {
  if (!row.raw->sk_drops) return "sk_drops unknown";
  const std::uint32_t total = *row.raw->sk_drops;
  if (!row.sk_drops_per_second) {
    return fmt::format("sk_drops counter {}, rate not known yet", total);
  }
  return total == 0 ? std::string("no sk_drops") : fmt::format("sk_drops counter {}", total);
}

/// At which step of the handshake the full accept queue refused; empty when it refused nothing.
std::string overflows(const ListenerRow& row) {
  const std::uint64_t at_syn = counted(row, Counter::overflows_syn).value_or(0);
  const std::uint64_t at_ack = counted(row, Counter::overflows_ack).value_or(0);
  if (at_syn == 0 && at_ack == 0) return {};
  return fmt::format(" (overflows: {} at the SYN, {} at the ACK)", grouped(at_syn),
                     grouped(at_ack));
}

/// What it lost in all; what it loses now is the verdict's.
std::string refused(const ListenerRow& row) {
  const auto drops = counted(row, Counter::drops);
  if (!drops) return sk_drops(row);
  if (*drops == 0) return "nothing dropped";
  return fmt::format("{} dropped{}", grouped(*drops), overflows(row));
}

/// What goes through; empty where it is not counted, or nothing does.
std::string served(const ListenerRow& row) {
  const auto accepts = per_second(row, Counter::accepts);
  if (!accepts) return {};
  if (*accepts <= 0) return row.raw->accept_queue_len > 0 ? "nothing accepted" : "";
  return fmt::format("{} accepted/s", field_text("accepts_per_second", row));
}

std::string syn_queue(const ListenerRow& row) {
  const auto& len = row.raw->syn_queue_len;
  if (!len) return "SYN queue unknown";
  const auto& cookies = row.netns->raw->sysctls.tcp_syncookies;
  if (cookies && *cookies == 2) {
    return fmt::format("SYN queue not used (tcp_syncookies = 2), {} half-open", *len);
  }
  if (!row.syn_queue_limit) return fmt::format("SYN queue {}, its limit unknown", *len);
  std::string text = fmt::format("SYN queue {}{} of {}", *len, peak_text(row.syn_queue_peak, *len),
                                 *row.syn_queue_limit);
  if (*len < *row.syn_queue_limit) return text;
  text += " FULL";
  if (cookies) text += *cookies == 0 ? ", SYNs are refused" : ", SYNs are answered by cookies";
  return text;
}

/// "since 14:13:20 (16 s)"
std::string since_text(const Episode& episode, const Sample& sample) {
  const double age = sample.wall_ns > episode.start_wall_ns
                         ? static_cast<double>(sample.wall_ns - episode.start_wall_ns) / 1e9
                         : 0;
  const std::string start = clock_text(episode.start_wall_ns);
  if (episode.may_be_older) return fmt::format("since {} or before", start);
  return fmt::format("since {} ({})", start, duration_text(age));
}

/// At which steps, the most first: "1,680 refused at the ACK, 83 at the SYN".
std::string steps_text(const Episode& episode) {
  struct Part {
    std::uint64_t count;
    std::string_view verb;
    std::string_view where;
  };
  std::array parts = {Part{episode.lost_at_ack, "refused ", "at the ACK"},
                      Part{episode.lost_at_syn, "refused ", "at the SYN"},
                      Part{episode.lost_before_tcp, "lost ", "before TCP"},
                      Part{episode.lost_unknown, "counted ", "by sk_drops"}};
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.count > b.count; });
  std::string text;
  std::string_view verb;
  for (const Part& part : parts) {
    if (part.count == 0) continue;
    const bool same = part.verb == verb;
    join(text, ", ",
         fmt::format("{} {}{}", grouped(part.count), same ? "" : part.verb, part.where));
    verb = part.verb;
  }
  return text;
}

/// What keeps those who should call accept() from it, where somebody looked: "2 of 3 threads
/// STOPPED".
std::string hindered_text(const ListenerRow& row, const Sample& sample) {
  const RawCloseUp* const close_up = close_up_of(sample, *row.raw);
  if (close_up == nullptr) return {};
  std::size_t threads = 0;
  std::size_t stopped = 0;
  std::size_t blocked = 0;
  for (const RawSharer& sharer : close_up->sharers) {
    for (const RawThread& thread : sharer.threads) {
      ++threads;
      stopped += thread.state == 'T' || thread.state == 't' ? 1U : 0U;
      blocked += thread.state == 'D' ? 1U : 0U;
    }
  }
  if (stopped > 0) return fmt::format("{} of {} threads STOPPED", stopped, threads);
  return blocked > 0 ? fmt::format("{} of {} threads BLOCKED", blocked, threads) : std::string();
}

/// What made the listener refuse, as far as its queues and its threads say so.
std::string cause_text(const ListenerRow& row, const Episode& episode, const Sample& sample) {
  if (episode.overflows > 0) {
    std::string text = "accept queue full";
    const auto accepts = per_second(row, Counter::accepts);
    if (accepts && *accepts <= 0) text += ", NOBODY ACCEPTS";
    join(text, ", ", hindered_text(row, sample));
    if (row.raw->oldest_wait_ns && row.raw->accept_queue_len > 0) {
      text += fmt::format(", first waits {}", field_text("oldest_wait_seconds", row));
    }
    return text;
  }
  if (episode.lost_before_tcp > episode.lost_at_syn + episode.lost_at_ack) {
    return "look at nftables/iptables rules, conntrack, rp_filter, softnet";
  }
  if (row.syn_queue_fill.value_or(0) >= 1.0) return "SYN queue full";
  return row.accept_queue_fill >= 1.0 ? "accept queue full" : "";
}

/// What goes wrong at this listener, the line one looks for at 3 a.m.
std::string trouble(const ListenerRow& row, const Sample& sample) {
  const Episode* const episode = row.episode;
  if (episode == nullptr) {
    if (row.accept_queue_fill < 1.0) return {};
    std::string text = fmt::format("accept queue FULL ({} of {})", row.raw->accept_queue_len,
                                   row.raw->accept_queue_limit);
    if (row.raw->oldest_wait_ns) {
      text += fmt::format(", not emptied for {}", field_text("oldest_wait_seconds", row));
    }
    return text + ": the next connections are lost";
  }
  const auto rate = losses_per_second(row);
  const bool now = rate.value_or(0) > 0 || Snapshot::is_losing(row);
  std::string text = !now                   ? "LOST " + grouped(episode->lost())
                     : rate.value_or(0) > 0 ? fmt::format("LOSING {}/s", rate_text(rate))
                                            : std::string("LOSING");
  join(text, " ", since_text(*episode, sample));
  join(text, ": ", steps_text(*episode));
  join(text, ", ", cause_text(row, *episode, sample));
  return text;
}

/// Where most connections to the port got lost since it is watched; empty where none did.
std::string past_loss(const ListenerRow& row) {
  if (row.waterfall == nullptr) return {};
  const auto step = row.waterfall->lost_at();
  return step ? loss_text(*row.waterfall, *step) : std::string();
}

}  // namespace

Description describe(const ListenerRow& row, const Sample& sample) {
  Description text;
  text.who = fmt::format("{} in netns {}", local_text(*row.raw), netns_text(*row.netns->raw));
  join(text.who, ", ", owner(row));
  if (row.raw->uid) join(text.who, ", ", fmt::format("uid {}", *row.raw->uid));
  if (row.reuseport > 1) {
    join(text.who, ", ", fmt::format("one of {} by SO_REUSEPORT", row.reuseport));
  }
  if (!row.container.empty()) {
    join(text.who, ", ", fmt::format("container {}", row.container.substr(0, 12)));
  } else if (row.cgroup) {
    join(text.who, ", ", fmt::format("cgroup {}", *row.cgroup));
  }

  text.verdict = trouble(row, sample);
  text.now = !text.verdict.empty();
  if (!text.now) text.verdict = past_loss(row);

  text.state = accept_queue(row);
  join(text.state, "; ", served(row));
  join(text.state, "; ", refused(row));
  join(text.state, "; ", limit_origin(row));
  join(text.state, "; ", syn_queue(row));
  return text;
}

void draw_context(Canvas& canvas, const ScreenState& state, const Layout& layout) {
  const ListenerRow* const listener = selected_row(state);
  if (layout.context == 0 || listener == nullptr) return;
  const int top = layout.table_top + 1 + layout.table;
  const int end = top + layout.context;
  const Description words = describe(*listener, *state.shown.snapshot->sample);
  canvas.fill(top, 0, canvas.columns(), Style::title);
  canvas.put(top, 0, words.who, Style::title);
  int row = top + 1;
  // The last line that there is takes the rest of the text, cut.
  const auto put = [&](std::string_view text, Style style, int last) {
    std::vector<std::string> lines = wrap_text(text, canvas.columns(), canvas.charset());
    for (std::size_t i = 0; i < lines.size() && row < last; ++i) {
      for (std::size_t more = i + 1; row + 1 == last && more < lines.size(); ++more) {
        lines[i] += " " + lines[more];
      }
      canvas.put(row++, 0, lines[i], style);
    }
  };
  if (!words.verdict.empty()) {
    put("! " + words.verdict, words.now ? Style::bad : Style::warn, std::min(row + 2, end));
  }
  put(words.state, words.now ? Style::strong : Style::normal, end);
}

}  // namespace listenq::tui
