// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/actions.hpp"
#include "election/cluster.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// The election of one group: every rule of docs/protocol.md about promises, leases and handovers.
//
//                  promise ended, best first           votes of a majority
//     follower ───────────────────────────▶ asking ───────────────────────▶ candidate ──▶ leader
//        ▲  ▲        (none: leads at once)     │ a better one asks,             │           │
//        │  └──────────────────────────────────┘ a leader is heard              │ D without │
//        ├──────────────────────────────────────────────────────────────────────┘ a majority│
//        └──────────────────────────────────────────────────────────────────────────────────┘
//                                 lease ends, handover, a better leader (none): gate shut first
//
// Owned and driven by Election: expire() comes first at every event, so that nothing is decided
// with a lease that has ended.

namespace hamr::election {

/// What a group wants from its node, collected during one event.
struct Outbox {
    std::vector<Action> actions;
    /// Tell every peer at once.
    bool broadcast = false;
    /// Answer this event's sender at once, even if it did not ask.
    bool answer = false;
};

class Group {
  public:
    /// `place` is the group's in the settings.
    Group(const GroupSettings& settings, const Cluster& cluster, std::size_t place, BootTime now);

    /// A leader whose lease has ended steps down; promises and stand-offs end.
    void expire(BootTime now, Outbox& out);
    /// Time-driven moves: ask, stand, give up, hand over.
    void tick(BootTime now, Outbox& out);
    /// `peer` has just been updated from `frame`; `entry` is its word on this group, or null.
    void receive(BootTime now, const Peer& peer, const GroupEntry* entry, const Frame& frame,
                 Outbox& out);
    /// A frame went out to every peer at `now`.
    void sent(BootTime now, Outbox& out);

    /// `hamr failover` on the leader. no_node: the best.
    AskResult hand_over(BootTime now, NodeId target, bool force, const std::string& why,
                        NodeId& successor, Outbox& out);
    /// A clean stop: hand over to anybody fit, else release.
    void resign(BootTime now, Outbox& out);
    /// A leader releases its lease to whoever can lead at once, in this mode or the other (M21).
    void let_go(BootTime now, const std::string& why, Outbox& out);
    void announced(Term term, Outbox& out);
    /// Frames get through to `peer` and back again: who is on its side may have missed whose the
    /// addresses are (rule H14).
    void reunited(BootTime now, const Peer& peer);

    [[nodiscard]] GroupEntry entry(BootTime now) const;
    [[nodiscard]] BootTime next_wakeup(BootTime now) const;
    [[nodiscard]] GroupStatus status(BootTime now) const;

    [[nodiscard]] GroupId id() const { return id_; }
    [[nodiscard]] std::size_t place() const { return place_; }
    [[nodiscard]] bool claims() const { return phase_ != Phase::follower; }
    [[nodiscard]] bool leads() const { return phase_ == Phase::leader; }
    [[nodiscard]] bool starting() const { return starting_; }

    // Changes of the membership (group_change.cpp).
    /// Goes on with `was`, the same group in the same life under other settings.
    void go_on_from(const Group& was, BootTime now, Outbox& out);
    /// A group that is new in a life waits for all of its quarantine: nobody's word shortens it.
    void keep_still_for_long() { still_for_long_ = true; }
    /// When the present lease would end under another list of voters or mode.
    [[nodiscard]] BootTime lease_under(const std::vector<NodeId>& voters, Mode mode) const;
    /// The leader as far as this node knows, its term, and whether it has announced.
    struct Known {
        NodeId leader;
        Term term;
        bool announced = false;
    };
    [[nodiscard]] Known known(BootTime now) const;

    /// All but the settings and what follows from them (docs/protocol.md, rules U). A member that
    /// is not in this list is forgotten by an upgrade: `sim --relive` finds that.
    template <class Archive>
    void archive(Archive& kept) {
        kept(phase_, told_state_, reason_, since_, starting_, starting_until_, still_for_long_,
             told_, promise_, seen_, released_, term_, waiting_, free_since_, leaderless_since_,
             free_, freed_by_release_, last_leader_, last_leader_term_, led_since_, led_reason_,
             last_leader_heard_, successor_, forced_, named_, hold_back_until_, handled_release_,
             phase_since_, asked_from_, why_stand_, leases_, lease_until_, announced_, rivals_,
             apart_, announce_again_at_, raised_at_, tolerated_, failback_to_, failback_since_);
    }

  private:
    static constexpr Duration reunion_period = std::chrono::seconds{1};

    enum class Phase : std::uint8_t { follower, asking, candidate, leader };

    struct Promise {
        NodeId holder;
        Term term;
        BootTime until = long_ago;
        /// The holder's newest frame renewed it; else it is kept, but not told.
        bool current = false;

        template <class Archive>
        void archive(Archive& kept) {
            kept(holder, term, until, current);
        }
    };
    /// Somebody who asked while a promise ran: answered when it ends.
    struct Waiting {
        NodeId node;
        BootTime until = long_ago;
        Duration lease{};   ///< what its frame asked for
        bool told = false;  ///< that this node supports it

        template <class Archive>
        void archive(Archive& kept) {
            kept(node, until, lease, told);
        }
    };
    /// Another that leads beside this node (mode none).
    struct Rival {
        NodeId node;
        BootTime since;
        Sequence from;  ///< what it echoes beyond that was sent after it had been heard
        BootTime heard;

        template <class Archive>
        void archive(Archive& kept) {
            kept(node, since, from, heard);
        }
    };
    struct Rank {
        std::uint32_t demotion;
        std::size_t preference;
        NodeId node;
        friend auto operator<=>(const Rank&, const Rank&) = default;
    };

    void change_mode(BootTime now, Outbox& out);
    [[nodiscard]] const Peer* heir(BootTime now) const;
    /// A peer in mode none leads, as far as this node hears: then nobody of mode majority may
    /// (M21).
    [[nodiscard]] bool led_without_majority(BootTime now) const;

    // Voting (group_vote.cpp).
    void leave_quarantine_if_told(BootTime now, const Peer& peer, const GroupEntry* entry,
                                  Outbox& out);
    void note_release(BootTime now, const Peer& peer, const GroupEntry& entry, Outbox& out);
    void vote(BootTime now, const Peer& peer, const GroupEntry& entry, const Frame& frame,
              Outbox& out);
    [[nodiscard]] bool may_grant(BootTime now, const Peer& peer) const;
    [[nodiscard]] bool may_support(BootTime now, const Peer& peer) const;
    bool grant(BootTime now, const Peer& peer, const GroupEntry& entry, Duration lease,
               Outbox& out);
    void remember(BootTime now, const Peer& peer, Duration lease);
    void answer_waiting(BootTime now, Outbox& out);
    void follow_silence(BootTime now, const Peer& peer, const GroupEntry& entry,
                        const Frame& frame);
    void end_promise(BootTime now, bool released);
    [[nodiscard]] bool promised(BootTime now) const { return promise_.until > now; }
    void follow_leader(BootTime now, const Peer& peer, Term term, Outbox& out);
    [[nodiscard]] bool follows_another(BootTime now, NodeId leader, Term term) const;
    [[nodiscard]] bool still_leads(BootTime now, NodeId leader) const;
    /// A peer that is alive and says that it leads.
    [[nodiscard]] bool claims_lead(BootTime now, const Peer& peer) const;
    void note_leader(BootTime now, const Peer& peer, Term term, Outbox& out);

    // Standing (group.cpp).
    [[nodiscard]] bool eligible() const;
    /// When nobody leads any more, unless a leader is heard until then.
    [[nodiscard]] BootTime leaderless_from(BootTime now) const;
    [[nodiscard]] BootTime ask_at(BootTime now) const;
    void start_asking(BootTime now, Outbox& out);
    void stand(BootTime now, const std::string& why, Outbox& out);
    void give_up(BootTime now, const std::string& why, Outbox& out);
    void count_support(BootTime now, Outbox& out);
    void count_votes(BootTime now, Outbox& out);
    void yield_to_rivals(BootTime now, const Peer& peer, const GroupEntry& entry, Outbox& out);
    void credit(const Peer& peer, const GroupEntry& entry);
    /// Of those that this node knows of, its own and its peers'.
    [[nodiscard]] Term newest_term() const;
    [[nodiscard]] Term next_term() const;
    [[nodiscard]] std::string why_free(BootTime now) const;
    [[nodiscard]] Duration hold_back() const;
    [[nodiscard]] bool holds_back(BootTime now) const;

    // Leading (group_lead.cpp).
    void lead(BootTime now, const std::string& why, Outbox& out);
    void step_down(BootTime now, NodeId successor, const std::string& why, Outbox& out);
    void renew_lease(BootTime now, Outbox& out);
    void raise_term(BootTime now, Outbox& out);
    void settle(BootTime now, const Peer& peer, const GroupEntry* entry, Outbox& out);
    void announce_again(BootTime now, Outbox& out);
    void move_if_better(BootTime now, Outbox& out);
    [[nodiscard]] AskResult fitness(BootTime now, const Peer& peer, bool force) const;
    [[nodiscard]] const Peer* best_successor(BootTime now, std::uint32_t worst) const;
    [[nodiscard]] const Peer* failback_target(BootTime now) const;

    [[nodiscard]] Rank rank_of(const Peer& peer) const;
    [[nodiscard]] Rank own_rank() const;
    [[nodiscard]] std::size_t preference(NodeId node) const;
    [[nodiscard]] BootTime& lease_from(NodeId voter);
    [[nodiscard]] int running_leases(BootTime now) const;
    void enter(BootTime now, Phase phase, const std::string& why, Outbox& out);
    void tell(BootTime now, const std::string& why, Outbox& out);
    [[nodiscard]] State state() const;

    const Cluster& cluster_;
    std::string name_;
    GroupId id_;
    std::size_t place_;
    std::vector<NodeId> prefer_;
    std::optional<Duration> failback_;

    Phase phase_ = Phase::follower;
    State told_state_ = State::starting;
    std::string reason_;
    BootTime since_;

    bool starting_ = true;
    BootTime starting_until_;
    bool still_for_long_ = false;
    std::vector<NodeId> told_;  ///< peers that have told that they hold no lease

    Promise promise_;
    Term seen_;
    Term released_;
    Term term_;
    Waiting waiting_;

    /// Since when nobody is known to lead; the stagger counts from here.
    BootTime free_since_;
    BootTime leaderless_since_;
    bool free_ = true;
    bool freed_by_release_ = false;
    NodeId last_leader_;
    Term last_leader_term_;
    BootTime led_since_ = long_ago;  ///< as far as this node has seen
    std::string led_reason_;
    BootTime last_leader_heard_ = long_ago;
    NodeId successor_;     ///< named by the last leader; alone may ask until hold_back_until_
    bool forced_ = false;  ///< named_ was named by force
    NodeId named_;         ///< the same, when this node was that leader
    BootTime hold_back_until_ = long_ago;
    Term handled_release_;

    BootTime phase_since_ = long_ago;
    Sequence asked_from_;  ///< answers to a pre-vote count from this sequence on
    std::string why_stand_;
    std::vector<BootTime> leases_;  ///< by voter, in the order of Cluster::voters
    BootTime lease_until_ = long_ago;
    bool announced_ = false;
    std::vector<Rival> rivals_;
    NodeId apart_;  ///< is heard again and that is not announced yet (H14)
    BootTime announce_again_at_ = long_ago;
    BootTime raised_at_ = long_ago;
    /// This node was made leader in spite of that demotion: up to it, it does not look for better.
    std::uint32_t tolerated_ = 0;
    NodeId failback_to_;
    BootTime failback_since_ = long_ago;
};

}  // namespace hamr::election
