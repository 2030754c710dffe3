// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/frame.hpp"
#include "election/settings.hpp"
#include "election/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// Who leads: the whole election of one node, for all of its groups.
//
// Contract. Events and `now` go in; actions come out of take_actions(), to be carried out in their
// order before the next event goes in. `now` never goes back. The object reads no clock, draws no
// random number and touches no socket: two objects that are fed the same do the same.
//
//     Election election(settings, boot, now);
//     for (;;) {
//         wait until election.next_wakeup(), or for a frame;
//         election.tick(now);                  or election.receive(now, frame, path);
//         for (Action& action : election.take_actions()) carry it out;
//     }
//
// Promises (docs/protocol.md has the rules): in Mode::majority, SetGate instants of two nodes for
// one group never overlap in real time as long as clocks drift apart by less than 20 %. In
// Mode::none a node that does not call tick() goes mute (its last SetGate ends) before a peer takes
// over.
//
// Threading: none; lives on the pulse loop. Limits: max_nodes, max_groups; a few KiB each.

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
    bool mismatch = false;  ///< its frames carry another mode, timers or voters
    Duration silent{};      ///< since it was last heard; 0 for this node
};

struct Status {
    Mode mode = Mode::majority;
    std::vector<GroupStatus> groups;
    std::vector<NodeStatus> nodes;
};

class Core;

class Election {
  public:
    /// `boot` is random and not 0. The first actions shut every gate that an earlier life of this
    /// agent may have left open: carry them out before anything else. Settings are taken as
    /// checked; asserts what safety rests on (self among the nodes, no colliding ids, timers in
    /// range).
    Election(Settings settings, BootId boot, BootTime now);
    ~Election();
    Election(Election&&) noexcept;
    Election& operator=(Election&&) noexcept;

    /// Whatever is due. Call it at next_wakeup() or earlier, as often as you like.
    void tick(BootTime now);

    /// An authenticated frame of this cluster. `path` tells over which pair of addresses (0–31) it
    /// came, so that copies on several paths are not taken for replays.
    Received receive(BootTime now, const Frame& frame, int path);

    void health(BootTime now, const HealthReport& report);

    /// A drained node does not lead while another can.
    void drain(BootTime now, bool drained);

    /// A clean stop: hands every group over (or releases it). Nothing is led any more afterwards.
    void resign(BootTime now);

    /// The daemon has put the addresses on and announced them in this term.
    void announced(BootTime now, GroupId group, Term term);

    /// Moves leadership from any node: the answer is a FailoverDone with this id, within 3 s. It
    /// says accepted only once the successor has announced. `target` no_node: the best peer.
    std::uint32_t request_failover(BootTime now, GroupId group, NodeId target, bool force);

    [[nodiscard]] BootTime next_wakeup() const;
    [[nodiscard]] std::vector<Action> take_actions();
    [[nodiscard]] Status status(BootTime now) const;

  private:
    std::unique_ptr<Core> core_;
};

}  // namespace hamr::election
