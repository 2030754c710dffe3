// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/frame.hpp"

#include <map>
#include <optional>
#include <string_view>

// Faults that the protocol must not have, made around the real core: by what frames say on their
// way, by the instants that calls are given, by settings, and by actions that are not carried out.
// The core itself has no switch for any of them. Each must be caught breaking S1 (`sim --broken`).

namespace hamr::sim {

enum class Sabotage {
    nothing,
    /// A lease counts from the receipt of its acknowledgement: each echo of this node names the
    /// newest frame that it has sent by then.
    late_lease,
    /// A restarted voter votes at once: its core is told that it was born 3 s earlier.
    eager_voter,
    /// No margin for drifting clocks: the most preferred node uses all of what was promised to it,
    /// since it believes in one miss more (5) than its frames ask for (4).
    no_margin,
    /// An echo renews a lease though it names another holder, or none.
    any_echo,
    /// A release is told before the gate is shut: the gate stays open until its deadline.
    early_release,
    /// A voter does not know that its last life had other voters: when a leader is removed from the
    /// configuration of the others while it lives, nobody that they know tells them of its lease.
    forgotten_voters,
};

[[nodiscard]] std::optional<Sabotage> sabotage(std::string_view name);
[[nodiscard]] std::string_view to_string(Sabotage sabotage);

inline constexpr int promised_misses = 4;
inline constexpr int believed_misses = 5;

/// What a node has told last.
struct Told {
    election::BootId boot;
    election::Sequence newest;
    std::map<election::GroupId, election::Term> claims;  ///< to lead or to be a candidate

    void note(const election::Frame& frame);
};

[[nodiscard]] election::Frame on_its_way(election::Frame frame, Sabotage sabotage);
[[nodiscard]] election::Frame as_heard(election::Frame frame, election::NodeId self,
                                       const Told& told, Sabotage sabotage);

}  // namespace hamr::sim
