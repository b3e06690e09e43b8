// SPDX-License-Identifier: Apache-2.0
//
// One listener in words, for the lines below the table. Only what its row holds; what the row does
// not know is called unknown.
#include <fmt/core.h>

#include "util/text.h"
#include "view/tui/screen.h"

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
  const bool full = row.accept_queue_fill >= 1.0;
  const bool nearly = row.accept_queue_fill >= 0.8;
  return fmt::format("accept queue{}: {} wait{} for accept(){}{}, limit {}{}",
                     full     ? " FULL"
                     : nearly ? " nearly full"
                              : "",
                     len, len == 1 ? "s" : "", oldest, peak, limit,
                     full ? ", further ones are refused" : "");
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
  if (!row.sk_drops_per_second)
    return fmt::format("sk_drops counter {}, rate not known yet", total);
  const std::string rate = field_text("sk_drops_per_second", row);
  if (*row.sk_drops_per_second > 0) {
    return fmt::format("LOSING {} sk_drops/s, counter {}", rate, total);
  }
  return total == 0 ? std::string("no sk_drops")
                    : fmt::format("no sk_drops now, counter {}", total);
}

/// At which step of the handshake the full accept queue refused; empty when it refused nothing.
std::string overflows(const ListenerRow& row) {
  const std::uint64_t at_syn = counted(row, Counter::overflows_syn).value_or(0);
  const std::uint64_t at_ack = counted(row, Counter::overflows_ack).value_or(0);
  if (at_syn == 0 && at_ack == 0) return {};
  return fmt::format(" (overflows: {} at the SYN, {} at the ACK)", at_syn, at_ack);
}

std::string refused(const ListenerRow& row) {
  const auto drops = counted(row, Counter::drops);
  if (!drops) return sk_drops(row);
  if (*drops == 0) return "nothing dropped";
  const std::string all = fmt::format("{} dropped{}", *drops, overflows(row));
  const auto rate = per_second(row, Counter::drops);
  if (!rate) return all + ", rate not known yet";
  if (*rate <= 0) return all + ", none now";
  return fmt::format("LOSING {} drops/s, {}", field_text("drops_per_second", row), all);
}

/// What goes through; empty where it is not counted, or nothing does.
std::string served(const ListenerRow& row) {
  const auto accepts = per_second(row, Counter::accepts);
  if (!accepts) return {};
  if (*accepts <= 0) return row.raw->accept_queue_len > 0 ? "NOTHING accepted" : "";
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

}  // namespace

Description describe(const ListenerRow& row) {
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

  text.state = accept_queue(row);
  join(text.state, "; ", served(row));
  join(text.state, "; ", refused(row));
  join(text.state, "; ", limit_origin(row));
  join(text.state, "; ", syn_queue(row));
  return text;
}

}  // namespace listenq::tui
