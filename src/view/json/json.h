// SPDX-License-Identifier: Apache-2.0
//
// One Snapshot as one JSON document on one line. Written by hand because it is written at every
// interval for every listener; the keys are the ids of the field table.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "model/fields.h"
#include "model/filter.h"
#include "model/snapshot.h"

namespace listenq {

struct JsonOptions {
  std::span<const Field* const> columns = {};  ///< keys of each listener; empty: all
  const Filter* filter = nullptr;              ///< of the closed listeners; null: all
  /// Called whenever `out` holds a good piece more, and may empty it: the document of many thousand
  /// listeners is larger than everything else in memory.
  std::function<void(std::string& out)> flush = {};
};

/// Appends the document with `rows` as its listeners, and a line feed.
void write_json(std::string& out, const Snapshot& snapshot,
                std::span<const ListenerRow* const> rows, const JsonOptions& options = {});

}  // namespace listenq
