// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/config/keys.hpp"
#include "agent/daemon/pulse.hpp"

#include <vector>

namespace hamr::daemon {

/// The configuration in the words of the rooms. `self` is the index of this node.
[[nodiscard]] PulseConfig pulse_config(const config::Config& config, std::size_t self,
                                       const std::vector<config::Key>& keys);

}  // namespace hamr::daemon
