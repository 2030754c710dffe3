// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "election/actions.hpp"
#include "election/cluster.hpp"
#include "election/group.hpp"
#include "election/settings.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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

class Election {
  public:
    /// `boot` is random and not 0. The first actions shut every gate that an earlier life of this
    /// agent may have left open: carry them out before anything else. Settings are taken as
    /// checked; asserts what safety rests on (self among the nodes, no colliding ids, timers in
    /// range).
    Election(Settings settings, BootId boot, BootTime now);
    Election(const Election&) = delete;
    Election& operator=(const Election&) = delete;

    /// Everything that a life of the agent consists of, its boot id included, as bytes
    /// (election/snapshot.hpp). Only when no action is left to carry out, and nothing must be sent
    /// afterwards: this life goes on in whoever restores it.
    [[nodiscard]] std::vector<std::byte> save() const;

    /// Goes on where save() ended, as if nothing had happened but time. An error that says why not
    /// (another version, a damaged snapshot, settings that no life can go on with) leaves only a
    /// new life; then nothing of this one is used. Tick it at once, and carry out its actions
    /// before anything is sent. The gate is as it was; only under another list of voters or in
    /// another mode do actions shorten or shut it (rules M20 and M21).
    static Result<std::unique_ptr<Election>> restore(Settings settings, Bytes saved, BootTime now);

    /// Whatever is due. Call it at next_wakeup() or earlier, as often as you like.
    void tick(BootTime now);

    /// An authenticated frame of this cluster. `path` tells over which pair of addresses (0–31) it
    /// came, so that copies on several paths are not taken for replays.
    Received receive(BootTime now, const Frame& frame, int path);

    void health(BootTime now, const HealthReport& report);

    /// A drained node hands over as soon as another can lead, and does not begin to lead.
    void drain(BootTime now, bool drained);

    /// A clean stop: hands every group over (or releases it). Nothing is led any more afterwards.
    void resign(BootTime now);

    /// Releases every lease now, so that a peer leads while this node changes its mode (rule M21):
    /// also to one that has the other mode already. Nobody need be there to follow.
    void let_go(BootTime now, const std::string& why);

    /// What would be left of the shortest lease that this node holds, if `next` were its settings;
    /// Duration::max() when it holds none that goes on there.
    [[nodiscard]] Duration lease_under(const Settings& next, BootTime now) const;

    /// The daemon has put the addresses on and announced them in this term.
    void announced(BootTime now, GroupId group, Term term);

    /// Moves leadership from any node: the answer is a FailoverDone with this id, within 3 s. It
    /// says accepted only once the successor has announced. `target` no_node: the best peer.
    std::uint32_t request_failover(BootTime now, GroupId group, NodeId target, bool force);

    [[nodiscard]] BootTime next_wakeup() const;
    [[nodiscard]] std::vector<Action> take_actions();
    [[nodiscard]] Status status(BootTime now) const;

  private:
    /// A `hamr failover` made here.
    struct Request {
        std::uint32_t id = 0;
        GroupId group;
        NodeId target;
        bool force = false;
        BootTime deadline;
        NodeId leader;     ///< who was asked
        Term term;         ///< in which term
        NodeId successor;  ///< once accepted

        template <class Archive>
        void archive(Archive& kept) {
            kept(id, group, target, force, deadline, leader, term, successor);
        }
    };
    /// The last request of a peer that this node has obeyed or refused.
    struct Obeyed {
        NodeId asker;
        BootId boot;
        Answer answer;

        template <class Archive>
        void archive(Archive& kept) {
            kept(asker, boot, answer);
        }
    };

    template <class Archive>
    void archive(Archive& kept) {
        kept(cluster_);
        for (Group& group : groups_) kept(group);
        kept(now_, holds_, next_send_, last_broadcast_, requests_, newest_request_, obeyed_,
             answer_, answer_until_);
    }

    /// What `was`, this life under other settings, leaves to it (rules M20 to M22).
    void go_on_from(const Election& was, BootTime now);
    Received take(BootTime now, const Frame& frame, int path);
    void use(BootTime now, Peer& peer, const Frame& frame, bool new_boot);
    void begin(BootTime now);
    void notice_hold(BootTime now);
    void finish(BootTime now);
    void flush(BootTime now);
    [[nodiscard]] Frame compose(BootTime now, bool wants_answer);
    void broadcast(BootTime now);
    void reply(BootTime now, const Peer& peer);
    void obey(BootTime now, const Peer& peer, const Ask& ask);
    void hear(BootTime now, const Answer& answer);
    void follow_requests(BootTime now);
    void done(const Request& request, AskResult result, NodeId target);
    [[nodiscard]] bool leads() const;
    [[nodiscard]] bool claims() const;
    [[nodiscard]] Group* find(GroupId group);

    Cluster cluster_;
    std::vector<Group> groups_;
    Outbox out_;
    BootTime now_;
    int holds_ = 0;  ///< noticed since a leader was heard
    BootTime next_send_;
    BootTime last_broadcast_ = long_ago;
    std::vector<Request> requests_;
    std::uint32_t newest_request_;
    std::vector<Obeyed> obeyed_;
    std::optional<Answer> answer_;
    BootTime answer_until_ = long_ago;
};

}  // namespace hamr::election
