// SPDX-License-Identifier: Apache-2.0
//
// The Markdown of a benchmark run, and its place in a document. Called by main.cpp.
#pragma once

#include <string>
#include <string_view>

#include "plan.h"

namespace listenq::bench {

// Of single calls, of watching, of screens, of the exporter, of what counting costs, and of
// interfaces; empty if nothing of it was measured.
std::string markdown(const Results& results, const Sizes& sizes, const std::string& tool);
std::string watching_markdown(const Results& results, const Sizes& sizes, const std::string& tool);
std::string screens_markdown(const Results& results, const Sizes& sizes, const std::string& tool);
std::string exporter_markdown(const Results& results, const Sizes& sizes, const std::string& tool);
std::string counting_markdown(const Results& results, const Sizes& sizes, const std::string& tool);
std::string nic_markdown(const Results& results, const Sizes& sizes, const std::string& tool);

// Puts `text` between the document's markers of that name, which stay; a document without them gets
// them and `text` at its end.
void write_between_markers(const std::string& path, std::string_view name, const std::string& text);

}  // namespace listenq::bench
