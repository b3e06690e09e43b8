// SPDX-License-Identifier: Apache-2.0
//
// The metrics that are not a listener's: of namespaces, interfaces and the exporter itself. Few
// lines, written at once.
#pragma once

#include <string>

#include "export/exposition.h"

namespace listenq {

/// Appends them all.
void write_rest(std::string& out, const Ledger& ledger, const ExporterFacts& facts,
                const Told& told, bool openmetrics);

}  // namespace listenq
