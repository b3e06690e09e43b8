// SPDX-License-Identifier: Apache-2.0
//
// The help page: keys, how to read the table, and the fields as the field table explains them.
#include <algorithm>
#include <array>
#include <string_view>

#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

struct Entry {
  std::string_view key;
  std::string_view text;
};

constexpr std::array kKeys = {
    Entry{"q Esc F10", "back; in the table q and F10 quit"},
    Entry{"h ? F1", "this page"},
    Entry{"arrows j k", "select a line; PgUp PgDn, Home g, End G go further"},
    Entry{
        "Enter",
        "the listener's page: what is wrong, how many get how far on the way from the interface to "
        "accept(), its queues over time, who holds it and what the threads do, who waits, limits; "
        "there left and right go to another listener. On a heading of the tree: fold, unfold"},
    Entry{
        "/",
        "search in address, namespace, process, pid and cgroup; F3 goes to the next one, Esc ends "
        "it"},
    Entry{"f F4 \\",
          "filter by an expression on fields, such as `port == 443 and "
          "accept_queue_fill > 0.8` or `process ~ nginx`; an empty line shows all"},
    Entry{"< > F6",
          "sort by the column to the left or right (arrow keys too); left of the first "
          "one: trouble first"},
    Entry{"I", "turn the order around"},
    Entry{"Space Z",
          "freeze the numbers; sorting, filter, search and pages go on; again: go on. In a "
          "recording: "
          "pause, play"},
    Entry{"e", "events: since when, until when and where listeners lost connections"},
    Entry{"t F5", "tree by namespace, by container, by reuseport group, or none"},
    Entry{"c", "totals instead of rates, and back"},
    Entry{"b", "baseline: totals count from now on; again: from the start"},
    Entry{"z", "hide or show listeners where nothing waits and nothing is lost"},
    Entry{"w", "wide: every column, whole; left and right move it"},
    Entry{"F2", "choose the columns; they are saved"},
    Entry{"n", "interfaces (--nic)"},
    Entry{"x", "what the tool itself costs"},
    Entry{"+ -", "longer or shorter interval"},
    Entry{", .", "in a recording: one sample back, one on"},
    Entry{"[ ]", "in a recording: slower, faster"},
    Entry{"@", "in a recording: go to a time (14:13:20), a step (+30s, -2m), start or end"},
    Entry{"mouse",
          "click: select, on a title sort, on a key below press it; double click: open; wheel: "
          "scroll"},
    Entry{"Ctrl-L", "paint the screen anew"},
};

constexpr std::array kMarks = {
    Entry{"!",
          "in trouble: losses grow now (with --nic also before TCP), or the accept queue is full"},
    Entry{"[||  *] 2/9",
          "queue length and limit; * is the longest since the sample before, where queues are "
          "watched in the kernel; the bar says FULL when the queue is"},
    Entry{"coverage",
          "losses that were counted / those that the kernel's own ListenDrops counted: 1.0 means "
          "that each has its listener; anything else names what does not add up"},
    Entry{"-",
          "not known here: the kernel, the backend or missing privileges do not tell; "
          "--explain says why"},
    Entry{"BY", "in a narrow window, what set the limit: app, somax(conn) or ? for unknown"},
};

constexpr int kKeyWidth = 14;

class HelpPage {
 public:
  HelpPage(int width, Charset charset) : width_(width), charset_(charset) {}

  void heading(std::string_view text) {
    if (!lines_.empty()) lines_.push_back({});
    lines_.push_back({"", std::string(text), Style::strong});
  }
  void entry(std::string_view key, std::string_view text) {
    const int text_cells = std::max(width_ - kKeyWidth - 2, 10);
    for (const std::string& line : wrap_text(text, text_cells, charset_)) {
      lines_.push_back({std::string(key), line, Style::normal});
      key = {};
    }
  }
  std::vector<HelpLine> take() { return std::move(lines_); }

 private:
  int width_;
  Charset charset_;
  std::vector<HelpLine> lines_;
};

}  // namespace

std::vector<HelpLine> help_lines(int width, Charset charset) {
  HelpPage page(width, charset);
  page.heading("Keys");
  for (const Entry& entry : kKeys) page.entry(entry.key, entry.text);
  page.heading("The table");
  for (const Entry& entry : kMarks) page.entry(entry.key, entry.text);
  page.heading("Fields, for the filter and --columns");
  for (const Field& field : fields()) {
    page.entry(field.title, std::string(field.id) + ": " + std::string(field.help));
  }
  return page.take();
}

}  // namespace listenq::tui
