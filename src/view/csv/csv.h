// SPDX-License-Identifier: Apache-2.0
//
// Rows as CSV (RFC 4180, but with lines that end as everywhere on this system). The header is made
// of field ids, the values are those of JSON; absent is empty, a list (pids) is joined by blanks.
#pragma once

#include <span>
#include <string>

#include "model/fields.h"
#include "model/snapshot.h"

namespace listenq {

struct CsvOptions {
  std::span<const Field* const> columns = {};  ///< empty: all but histograms
  bool header = true;                          ///< before the first of several blocks only
};

/// Appends one record a row.
void write_csv(std::string& out, std::span<const ListenerRow* const> rows,
               const CsvOptions& options = {});

}  // namespace listenq
