// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/arguments.hpp"

#include <span>

namespace hamr::cli {

/// Every command of `hamr`, in the order of its help.
[[nodiscard]] std::span<const Command> all_commands();

}  // namespace hamr::cli
