// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/config/keys.hpp"
#include "agent/daemon/inputs.hpp"
#include "agent/daemon/pulse.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hamr::daemon {

/// A node's addresses with one port.
[[nodiscard]] std::vector<Endpoint> endpoints(const config::Node& node, std::uint16_t port);

/// The floating addresses of each group, in the groups' order.
[[nodiscard]] std::vector<std::vector<IpAddress>> group_addresses(const config::Config& config);

/// The same, and as the last one the addresses that are retired, if there are any.
[[nodiscard]] std::vector<std::vector<IpAddress>> gate_groups(const Inputs& inputs);

[[nodiscard]] std::vector<std::string> node_names(const config::Config& config);

/// The configuration in the words of the rooms. `self` is the index of this node.
[[nodiscard]] PulseConfig pulse_config(const config::Config& config, std::size_t self,
                                       const std::vector<config::Key>& keys);

}  // namespace hamr::daemon
