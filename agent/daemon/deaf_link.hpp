// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/actions.hpp"
#include "election/io/transport.hpp"
#include "vip/plan.hpp"

#include <optional>
#include <span>
#include <string>

// With several networks between the nodes, the one with the addresses may be cut where no carrier
// tells of it (a switch further on, a VLAN): heartbeats go on over the others, nobody takes over,
// and no client reaches the address. Peers that are alive, and all silent there, give it away.

namespace hamr::daemon {

/// The name of a link on which an address of `plan` goes, which has an own address for heartbeats,
/// and on which every alive peer that should be heard there has been silent for `patience`. Nothing
/// when there is no such link, or nobody to be heard there.
[[nodiscard]] std::optional<std::string> deaf_link(const vip::Links& links,
                                                   const vip::PlanConfig& plan,
                                                   std::span<const election::NodeStatus> nodes,
                                                   std::span<const election_io::Arrival> arrivals,
                                                   BootTime now, Duration patience);

}  // namespace hamr::daemon
