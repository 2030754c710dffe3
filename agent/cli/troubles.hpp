// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/terminal.hpp"
#include "agent/control/model.hpp"

#include <string>
#include <vector>

// What is not as it should be, for somebody who has just been woken up: what, why, what to do.

namespace hamr::cli {

struct Trouble {
    std::string what;    ///< with its reason
    std::string remedy;  ///< "" where another trouble's helps
    Tone tone = Tone::warn;
};

/// The worst first: no leader, the router and its checks, other nodes, then the agent's warnings.
[[nodiscard]] std::vector<Trouble> troubles(const control::Status& status);

/// Nodes that are drained, or on the way to it, a sentence for each. Somebody wanted that.
[[nodiscard]] std::vector<std::string> drains(const control::Status& status);

/// Why a group has no leader, as far as this node can tell, and what to do.
[[nodiscard]] Trouble why_nobody(const control::Status& status, const control::GroupStatus& group);

}  // namespace hamr::cli
