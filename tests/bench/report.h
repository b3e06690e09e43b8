// SPDX-License-Identifier: Apache-2.0
//
// The Markdown of a benchmark run, and its place in a document. Called by main.cpp.
#pragma once

#include <string>

#include "plan.h"

namespace listenq::bench {

std::string markdown(const Results& results, const Sizes& sizes, const std::string& tool);

// Puts `text` between the document's markers, which stay; a new document gets them and `text`.
void write_between_markers(const std::string& path, const std::string& text);

}  // namespace listenq::bench
