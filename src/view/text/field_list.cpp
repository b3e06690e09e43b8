// SPDX-License-Identifier: Apache-2.0
//
// The field table as text and as docs/fields.md.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "view/text/text.h"

namespace listenq {

std::string fields_text() {
  std::size_t width = 0;
  for (const Field& field : fields()) width = std::max(width, field.id.size());
  std::string out;
  for (const Field& field : fields()) {
    fmt::format_to(std::back_inserter(out), "{:<{}}  {:<9}  {:<10}  {}\n", field.id, width,
                   kind_name(field.kind), unit_name(field.unit), field.help);
  }
  return out;
}

std::string fields_markdown() {
  std::string out =
      "<!-- Written by `listenq-top --list-fields=md`; change src/model/fields.cpp instead. -->\n"
      "# Fields of a listener\n"
      "\n"
      "The id is the key in JSON, the header in CSV and the name for `--columns`, `--sort` and\n"
      "`--filter`; the title heads the column on the screen and in the text table. What the "
      "kernel,\n"
      "the way of reading it or the privileges can't give is absent: `null` in JSON, empty in "
      "CSV,\n"
      "`-` in a table. It is never 0 instead. `listenq-top --explain` says, for this machine, "
      "what\n"
      "feeds each field or why it is absent.\n"
      "\n"
      "| id | title | kind | unit | meaning |\n"
      "|---|---|---|---|---|\n";
  for (const Field& field : fields()) {
    fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} | {} |\n", field.id, field.title,
                   kind_name(field.kind), unit_name(field.unit), field.help);
  }
  return out;
}

}  // namespace listenq
