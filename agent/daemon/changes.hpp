// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/daemon/inputs.hpp"

#include <string>
#include <vector>

namespace hamr::daemon {

/// What `next` has otherwise than `now`, for people: "router3 joins", "interval 100 ms, now 50 ms".
/// Empty only when nothing is: a change without words of its own is told as one of the settings.
[[nodiscard]] std::vector<std::string> changes(const Inputs& now, const Inputs& next);

}  // namespace hamr::daemon
