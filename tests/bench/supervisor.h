// SPDX-License-Identifier: Apache-2.0
//
// Runs the whole benchmark in a child and puts the machine back afterwards, however the child
// ended. Called by main.cpp once.
#pragma once

#include <functional>
#include <string>

namespace listenq::bench {

// Namespaces of this run are called <prefix><what>.
std::string namespace_prefix();

// Runs `work` in a child process. When it is over (or a signal asks to stop) every process of the
// run is gone and every network namespace of the run is removed. Returns the exit code.
int supervise(const std::function<int()>& work);

}  // namespace listenq::bench
