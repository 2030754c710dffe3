// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/daemon/options.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"

#include <vector>

namespace hamr::daemon {

/// Takes `addresses` off whatever interfaces they are on and waits for it, two seconds at most.
/// How many there were.
[[nodiscard]] Result<int> remove_addresses(const std::vector<IpAddress>& addresses);

/// `hamrd --cleanup`: what a dead agent left goes, addresses first and the gate last. Says on
/// standard output what was done. Returns an exit code.
int clean_up(const Options& options);

}  // namespace hamr::daemon
