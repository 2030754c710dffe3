// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/coverage.hpp"
#include "tests/sim/options.hpp"

#include <functional>
#include <optional>
#include <string>

// One seed from start to end: faults, with the invariants checked at every step; then everything is
// healed, and the cluster must come to rest and stay there.

namespace hamr::sim {

struct Outcome {
    std::optional<Violation::Kind> failed;
    std::string what;
    Counts counts;
    std::uint64_t digest = 0;
};

/// How the run is told to a person; nothing when `line` is empty.
struct Telling {
    std::function<void(const std::string&)> line;
    bool frames = false;
};

[[nodiscard]] Outcome run(const RunOptions& options, const Telling& telling);

/// After faults end the cluster may take this long (real time) to come to rest: the quarantine of a
/// voter that has just started, a failover under way, failback, a few leases for the rest.
[[nodiscard]] Duration liveness_bound(const RunOptions& options);

}  // namespace hamr::sim
