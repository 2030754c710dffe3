// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/actions.hpp"
#include "election/settings.hpp"

#include <optional>
#include <string>
#include <vector>

// Changes of the membership while the cluster runs: which step a node may take, and when
// (docs/protocol.md, rules M18 to M22; docs/safety.md, step 5).

namespace hamr::election {

[[nodiscard]] Membership membership(const Settings& settings);

/// How many voters are in one of the lists only. Both ascend.
[[nodiscard]] std::size_t steps(const std::vector<NodeId>& one, const std::vector<NodeId>& other);

/// Why a node must not go from one configuration to another, and what to do about it.
struct Refusal {
    std::string why;
    std::string remedy;
    /// Nothing makes it right: not even an operator who says that he knows better.
    bool final = false;
};

/// Judges the step that `next` asks of a node that runs with `now` and knows `status`. Nothing when
/// it may be taken. `force` overrides what only an operator can know: that a silent node is gone
/// for good, and that a moment without a leader does not matter.
[[nodiscard]] std::optional<Refusal> judge_step(const Settings& now, const Settings& next,
                                                const Status& status, bool force);

/// How `told` differs from what a node with these settings counts with, for people: "voters: also
/// 0000000a", "interval 50 ms instead of 100 ms". Empty when it does not.
[[nodiscard]] std::vector<std::string> differences(const Settings& settings,
                                                   const Membership& told);

}  // namespace hamr::election
