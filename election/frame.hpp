// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/types.hpp"

#include <cstdint>
#include <optional>
#include <vector>

// What nodes tell each other. A frame is the whole state of its sender: nothing depends on an
// earlier frame having arrived. election/wire.hpp turns it into bytes and back.

namespace hamr::election {

/// Limits of a frame; decoding refuses more, so that memory and time per frame are bounded.
inline constexpr std::size_t max_nodes = 16;
inline constexpr std::size_t max_groups = 256;
/// Boots of one peer that are echoed: the confirmed one and those that may become it.
inline constexpr std::size_t max_echoes = max_nodes * 3;

/// "The newest frame that I have heard of `node`'s life `boot` is `newest`."
struct Echo {
    NodeId node;
    BootId boot;
    Sequence newest;
    /// The newest demotion of `node` such that a health check of mine began after I heard of it.
    HealthEpoch checked;

    friend bool operator==(const Echo&, const Echo&) = default;
};

enum class Claim : std::uint8_t {
    none = 0,       ///< I do not lead and do not try
    asking = 1,     ///< pre-vote: would you grant me a term?
    candidate = 2,  ///< grant me `term`
    leader = 3,     ///< I lead in `term`
};

/// One group in a frame.
struct GroupEntry {
    GroupId group;
    Claim claim = Claim::none;
    /// The term claimed; 0 with Claim::none.
    Term term;
    /// The newest term that the sender has granted or claimed itself.
    Term seen;
    /// The holder of the sender's running promise and its term; no_node and 0 when there is none.
    NodeId promised_to;
    Term promised_term;
    /// Answer to `asking`: whom the sender would grant a term now.
    NodeId supports;
    /// The sender holds no lease of this term or an earlier one.
    Term released;
    /// Named by a leader that hands over: nobody else need ask.
    NodeId successor;
    /// With a successor: an operator insisted on it, though it is less healthy than the sender.
    bool forced = false;
    /// A leader's: its address has been announced in this term.
    bool announced = false;

    template <class Archive>
    void archive(Archive& kept) {
        kept(group, claim, term, seen, promised_to, promised_term, supports, released, successor,
             forced, announced);
    }

    friend bool operator==(const GroupEntry&, const GroupEntry&) = default;
};

/// A follower's request to the leader: `hamr failover` works from any node.
struct Ask {
    std::uint32_t id = 0;
    GroupId group;
    NodeId leader;  ///< whom it is for: its successor must not obey it again
    NodeId target;  ///< no_node: the best
    bool force = false;

    friend bool operator==(const Ask&, const Ask&) = default;
};

enum class AskResult : std::uint8_t {
    accepted = 0,
    already_leader,
    unknown_target,
    target_silent,
    target_worse,
    target_starting,
    target_drained,
    target_witness,
    no_candidate,
    not_leader,
    timed_out,
};

/// The leader's answer to an Ask.
struct Answer {
    NodeId asker;
    std::uint32_t id = 0;
    AskResult result = AskResult::accepted;
    NodeId target;  ///< who will lead, when accepted

    template <class Archive>
    void archive(Archive& kept) {
        kept(asker, id, result, target);
    }

    friend bool operator==(const Answer&, const Answer&) = default;
};

struct Frame {
    ClusterId cluster;
    NodeId sender;
    BootId boot;
    Sequence sequence;
    /// Whether receivers should answer at once. Answers never ask for answers.
    bool wants_answer = false;

    // Configuration that must agree.
    Mode mode = Mode::majority;
    Timing timing;
    std::vector<NodeId> voters;  ///< ascending

    // The node.
    std::uint32_t demotion = 0;
    HealthEpoch epoch;      ///< counts changes of `demotion`
    bool starting = false;  ///< grants nothing yet
    bool drained = false;

    std::vector<Echo> echoes;
    std::vector<GroupEntry> groups;
    std::optional<Ask> ask;
    std::optional<Answer> answer;

    friend bool operator==(const Frame&, const Frame&) = default;
};

}  // namespace hamr::election
