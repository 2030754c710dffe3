// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/types.hpp"

#include <optional>
#include <string>
#include <vector>

// What the election is told once, at start. All values are checked by agent/config; the core
// asserts the few that its safety rests on.

namespace hamr::election {

struct NodeSettings {
    std::string name;
    NodeRole role = NodeRole::router;
};

struct GroupSettings {
    std::string name;
    /// Names of nodes, the most preferred first; every router stands in it.
    std::vector<std::string> prefer;
    /// Whether leadership goes back to a more preferred node that is as healthy, and after how long
    /// that node must have been so. Empty: it stays where it is.
    std::optional<Duration> failback;
};

/// What nodes have to agree on to exchange votes and to judge each other's silence; frames carry
/// it.
struct Membership {
    std::vector<NodeId> voters;  ///< ascending
    Mode mode = Mode::majority;
    Timing timing;

    template <class Archive>
    void archive(Archive& kept) {
        kept(voters, mode, timing);
    }

    friend bool operator==(const Membership&, const Membership&) = default;
};

struct Settings {
    std::string cluster;
    std::string self;
    std::vector<NodeSettings> nodes;  ///< with this one; all of them vote
    std::vector<GroupSettings> groups;
    Mode mode = Mode::majority;
    Timing timing;
    /// The earlier life of this node, if there was one, had these same voters. When that is not
    /// known, a leader that only the former ones know may rest its lease on that life (rule M6).
    bool same_voters = false;
};

}  // namespace hamr::election
