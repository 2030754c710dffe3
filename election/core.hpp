// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/cluster.hpp"
#include "election/election.hpp"
#include "election/group.hpp"

#include <optional>
#include <vector>

// Behind Election: joins peers, groups, frames and requests of one node.

namespace hamr::election {

class Core {
  public:
    Core(Settings settings, BootId boot, BootTime now);

    void tick(BootTime now);
    Received receive(BootTime now, const Frame& frame, int path);
    void health(BootTime now, const HealthReport& report);
    void drain(BootTime now, bool drained);
    void resign(BootTime now);
    void announced(BootTime now, GroupId group, Term term);
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
    };
    /// The last request of a peer that this node has obeyed or refused.
    struct Obeyed {
        NodeId asker;
        BootId boot;
        Answer answer;
    };

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
