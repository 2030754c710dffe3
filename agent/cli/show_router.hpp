// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/terminal.hpp"
#include "agent/control/model.hpp"

#include <optional>
#include <string>
#include <vector>

// The parts of the status page about this host's router: itself, its process, backends, checks.

namespace hamr::cli {

[[nodiscard]] std::string show_router(const control::RouterStatus& router,
                                      const std::optional<control::FlowsStatus>& flows,
                                      control::WallTime now, const Paint& paint);

/// A table, at most 100 columns wide; "" without checks.
[[nodiscard]] std::string show_checks(const std::vector<control::CheckStatus>& checks,
                                      control::WallTime now, const Paint& paint);

}  // namespace hamr::cli
