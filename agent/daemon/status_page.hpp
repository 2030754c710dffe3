// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/control/model.hpp"
#include "agent/daemon/pulse.hpp"
#include "agent/daemon/router_service.hpp"

#include <string>

// The rooms' pictures of themselves in the words of the control API.

namespace hamr::daemon {

[[nodiscard]] control::WallTime wall_now();
/// When `at` was, by today's wall clock.
[[nodiscard]] control::WallTime wall(BootTime at);

/// The configured name, or "" when there is none.
[[nodiscard]] std::string node_name(const config::Config& config, election::NodeId node);
[[nodiscard]] std::string group_name(const config::Config& config, election::GroupId group);

/// Adds groups, nodes, drops, and warnings about them.
void show_pulse(const config::Config& config, const PulseStatus& pulse, control::Status& status);
/// Fills the router's state, flows, backends, and adds its warnings.
void show_router(const RouterService& router, control::Status& status);

}  // namespace hamr::daemon
