// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/terminal.hpp"
#include "agent/control/model.hpp"

#include <string>
#include <vector>

// Status and history as pages for people: text 80 columns wide, tables 100 where names allow it.
// What is not well stands at the top, each with its reason and with what to do about it.

namespace hamr::cli {

[[nodiscard]] std::string show_status(const control::Status& status, control::WallTime now,
                                      const Paint& paint);

[[nodiscard]] std::string show_history(const std::vector<control::HistoryEntry>& history,
                                       const Paint& paint);

[[nodiscard]] std::string show_failover(const control::FailoverAnswer& answer);

}  // namespace hamr::cli
