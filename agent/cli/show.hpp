// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/terminal.hpp"
#include "agent/control/model.hpp"

#include <string>
#include <vector>

// Status and history as pages for people, 80 columns wide where names allow it. What is not well
// stands in a few words at the top, with what to do about it at the bottom, next to the prompt.

namespace hamr::cli {

[[nodiscard]] std::string show_status(const control::Status& status, control::WallTime now,
                                      const Paint& paint);

[[nodiscard]] std::string show_history(const std::vector<control::HistoryEntry>& history,
                                       const Paint& paint);

[[nodiscard]] std::string show_failover(const control::FailoverAnswer& answer);

/// "45 s", "3 min", "2 h 5 min", "6 d 1 h".
[[nodiscard]] std::string show_age(std::chrono::milliseconds age);

/// "0.4 ms", "35 ms", "4.2 s", "3 min".
[[nodiscard]] std::string show_ms(double ms);

}  // namespace hamr::cli
