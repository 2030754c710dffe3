// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/arguments.hpp"
#include "base/result.hpp"

#include <chrono>
#include <optional>
#include <string>

// Questions to the agent, for commands: what goes wrong is printed here, and ends in an exit code.

namespace hamr::cli {

/// An answer of the agent, or the exit code of the error that has been printed.
struct Asked {
    std::string body;
    std::optional<int> failed;
};

/// Asks the agent whose socket the command line names.
Asked ask(const Invocation& invocation, const char* method, const char* target,
          const std::string& body = {}, std::chrono::seconds timeout = std::chrono::seconds(5));

/// Says that the answer is of another version; returns the exit code.
int not_understood(const Error& error);

}  // namespace hamr::cli
