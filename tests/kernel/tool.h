// SPDX-License-Identifier: Apache-2.0
// Runs listenq-top, the program under test, and reads what it prints: JSON, CSV, text.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "netns.h"
#include "process.h"

namespace lqtest {

using Json = nlohmann::json;

// $LISTENQ_TOP, or listenq-top in the directory above this test program's own.
std::string tool_path();

RunResult run_tool(const std::vector<std::string>& arguments, const RunOptions& options = {});

// Runs it and parses its one JSON document. Exit status, empty stderr and valid JSON are expected
// (a gtest failure otherwise); the result is null then.
Json run_tool_json(const std::vector<std::string>& arguments, const RunOptions& options = {});
// `--once --json` with this backend ("auto" passes none) over all namespaces.
Json sample(const std::string& backend);

// When it was taken, in seconds since 1970.
double wall_of(const Json& document);
// Its `interval_seconds` is the time since the document before it. A machine at work may read the
// two clocks of a sample some time apart.
void expect_interval(const Json& document, const Json& before);
// The listener objects of one namespace.
std::vector<Json> rows_of(const Json& document, uint64_t netns_inode);
// Its namespace object; null when it is not in the document.
Json namespace_of(const Json& document, uint64_t netns_inode);

// RFC 4180: the first record are the names.
std::vector<std::map<std::string, std::string>> parse_csv(const std::string& text);

// Is there a function or type of this name in the kernel's own type information?
bool kernel_knows(const std::string& name);

// A backend that this kernel cannot offer is no failure. Judged from the kernel's own type
// information and by trying, never from what the tool says. Empty: it can.
std::string why_not(const std::string& backend);

}  // namespace lqtest
