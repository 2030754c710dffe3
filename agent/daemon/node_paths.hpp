// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/clock.hpp"
#include "election/actions.hpp"
#include "election/io/transport.hpp"

#include <optional>
#include <span>
#include <vector>

// Over which of its paths a peer is heard, in the words of the control API.

namespace hamr::daemon {

/// Every path of this peer on which frames should arrive; `arrivals` are those of all peers.
[[nodiscard]] std::vector<control::PathStatus> paths_of(
    const election::NodeStatus& peer, std::span<const election_io::Arrival> arrivals, BootTime now);

/// That a peer which is alive is heard over some of its paths only: the others have been silent for
/// `patience`. With one path there is nothing to lose; with none of them heard (its frames come
/// from a translated address) there is nothing to compare with.
[[nodiscard]] std::optional<control::Warning> lost_paths(
    const election::NodeStatus& peer, std::span<const election_io::Arrival> arrivals, BootTime now,
    Duration patience);

}  // namespace hamr::daemon
