// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "election/election.hpp"

#include <string>

namespace hamr::daemon {

/// What the control API says of one group's request: outcome, message and remedy, without moves.
[[nodiscard]] control::FailoverAnswer explain(election::AskResult result, const std::string& group,
                                              const std::string& target);

}  // namespace hamr::daemon
