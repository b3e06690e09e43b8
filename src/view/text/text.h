// SPDX-License-Identifier: Apache-2.0
//
// A Snapshot as an aligned table, for --once and -b on a terminal or in a pipe; and the field table
// itself, for --list-fields and docs/fields.md.
#pragma once

#include <span>
#include <string>

#include "model/fields.h"
#include "model/snapshot.h"

namespace listenq {

struct TextOptions {
  std::span<const Field* const> columns = {};  ///< empty: the most needed
  bool headline = false;  ///< one table of many: a line with time and counts comes
                          ///< first, and the columns do not depend on the sample; a line for each
                          ///< interface comes last
};

/// Appends a line of titles and one line a row.
void write_text(std::string& out, const Snapshot& snapshot,
                std::span<const ListenerRow* const> rows, const TextOptions& options = {});

/// Every field with its kind, unit and meaning, one a line.
[[nodiscard]] std::string fields_text();

/// The same as the contents of docs/fields.md.
[[nodiscard]] std::string fields_markdown();

}  // namespace listenq
