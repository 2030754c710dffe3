// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/frame.hpp"
#include "election/settings.hpp"
#include "election/types.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the election wants done, what it is told, and what it tells of itself: plain values.

namespace hamr::election {

/// Send the frame to one peer, or to all.
struct Send {
    Frame frame;
    NodeId to;  ///< no_node: to every peer
};

/// Let packets leave as the group's addresses until then (an instant that has passed: shut).
struct SetGate {
    GroupId group;
    BootTime until;
};

/// This node leads now: put the addresses on and announce, then call announced().
struct Lead {
    GroupId group;
    Term term;
};

/// This node no longer leads: take the addresses off. The gate was shut before.
struct StepDown {
    GroupId group;
    Term term;
    /// Who is expected to follow; no_node when leadership was lost.
    NodeId successor;
};

/// Somebody else held the address for a while: announce again.
struct AnnounceAgain {
    GroupId group;
    std::string reason;
};

/// One line of the history.
struct Transition {
    GroupId group;
    NodeId node;
    std::string from;
    std::string to;
    std::string reason;
    Term term;
    BootTime at;
};

/// What became of a request_failover().
struct FailoverDone {
    std::uint32_t id = 0;
    AskResult result = AskResult::accepted;
    NodeId target;
};

using Action = std::variant<Send, SetGate, Lead, StepDown, AnnounceAgain, Transition, FailoverDone>;

/// What the node's own checks say.
struct HealthReport {
    /// 0 is fully healthy; the higher, the less fit to lead.
    std::uint32_t demotion = 0;
    /// When the oldest check that this rests on began.
    BootTime begun_at = long_ago;
    /// The cause is this host's own (its link, its router process): peers cannot share it.
    bool urgent = false;
    std::string reason;
};

/// What becomes of a received frame.
enum class Verdict : std::uint8_t {
    used,       ///< its state counts
    greeted,    ///< of a boot that is not confirmed yet: answered, not otherwise used
    late,       ///< a newer frame of its sender has been heard
    duplicate,  ///< its copy came over another path
    dropped,    ///< with a DropReason, see Election::Received
};

struct Received {
    Verdict verdict = Verdict::used;
    DropReason reason = DropReason::malformed;  ///< with Verdict::dropped
};

enum class State : std::uint8_t { starting, follower, candidate, leader, witness, drained };
[[nodiscard]] std::string_view to_string(State state);

struct GroupStatus {
    std::string name;
    State state = State::starting;
    NodeId leader;  ///< no_node: not known
    Term term;
    BootTime since;
    std::string reason;
    std::optional<Duration> lease;  ///< what is left of it; a leader's
    int votes = 0;                  ///< voters whose lease runs; a leader's
    int needed = 0;
    bool announced = false;  ///< by the leader
};

struct NodeStatus {
    std::string name;
    NodeRole role = NodeRole::router;
    std::uint32_t demotion = 0;
    bool heard = false;
    bool alive = false;
    bool drained = false;
    bool starting = false;
    bool mismatch = false;           ///< its frames carry another mode, timers or voters
    std::optional<Membership> told;  ///< of a peer: what its newest frame carries, once heard
    Duration silent{};               ///< since it was last heard; 0 for this node
    /// By path: when a frame of it last came over that one (long_ago: never since it is watched).
    std::array<BootTime, max_paths> heard_on{};
    BootTime paths_since = long_ago;  ///< since when paths are watched
    /// One interval of its clock on this node's clock, as a multiple (election/beat_rate.hpp); of
    /// one that leads, or has led.
    std::optional<double> beat_ratio{};
};

struct Status {
    Mode mode = Mode::majority;
    std::vector<GroupStatus> groups;
    std::vector<NodeStatus> nodes;
};

}  // namespace hamr::election
