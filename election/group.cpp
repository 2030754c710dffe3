// SPDX-License-Identifier: GPL-2.0-or-later
// Standing for election, and what a group tells of itself.

#include "election/group.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace hamr::election {

namespace {

std::string whole_ms(Duration duration) {
    return std::to_string(std::chrono::round<std::chrono::milliseconds>(duration).count()) + " ms";
}

}  // namespace

std::string_view to_string(State state) {
    switch (state) {
        case State::starting:
            return "starting";
        case State::follower:
            return "follower";
        case State::candidate:
            return "candidate";
        case State::leader:
            return "leader";
        case State::witness:
            return "witness";
        case State::drained:
            return "drained";
    }
    return "unknown";
}

Group::Group(const GroupSettings& settings, const Cluster& cluster, std::size_t place, BootTime now)
    : cluster_(cluster),
      name_(settings.name),
      id_(group_id(settings.name)),
      place_(place),
      failback_(settings.failback),
      reason_("the agent has started"),
      since_(now),
      starting_(cluster.majority() && cluster.voters.size() > 1),
      starting_until_(now + longest_lease),
      free_since_(cluster.majority() ? now : now + cluster.lease()),
      leaderless_since_(now),
      leases_(cluster.voters.size(), long_ago) {
    for (const std::string& node : settings.prefer) prefer_.push_back(node_id(node));
    told_state_ = state();
}

// Events that time brings ---------------------------------------------------------------------

void Group::expire(BootTime now, Outbox& out) {
    if (phase_ == Phase::leader && lease_until_ <= now) {
        const std::string why = cluster_.majority()
                                    ? "lease ended: " + std::to_string(running_leases(now)) +
                                          " of " + std::to_string(cluster_.voters.size()) +
                                          " voters acknowledge, " +
                                          std::to_string(cluster_.needed) + " needed"
                                    : "this agent was held up for longer than its lease";
        step_down(now, no_node, why, out);
        // Somebody may lead by now: listen as after a start.
        if (!cluster_.majority()) free_since_ = now + cluster_.lease();
    }
    if (!free_ && !promised(now)) end_promise(promise_.until, false);
}

void Group::tick(BootTime now, Outbox& out) {
    if (starting_ && now >= starting_until_) {
        starting_ = false;
        free_since_ = now;
        enter(now, Phase::follower,
              "kept still for " + whole_ms(longest_lease) + " after its start", out);
    }
    answer_waiting(now, out);
    switch (phase_) {
        case Phase::follower:
            if (now >= ask_at(now)) start_asking(now, out);
            break;
        case Phase::asking:
            if (!eligible()) enter(now, Phase::follower, "may not lead", out);
            break;
        case Phase::candidate:
            if (!eligible()) {
                give_up(now, "may not lead", out);
            } else if (now - phase_since_ >= cluster_.lease()) {
                give_up(now, "no majority within " + whole_ms(cluster_.lease()), out);
            }
            break;
        case Phase::leader:
            std::erase_if(rivals_, [&](const Rival& rival) {
                if (now - rival.heard < cluster_.lease()) return false;
                out.actions.emplace_back(
                    AnnounceAgain{id_, cluster_.name(rival.node) + ", which also led, is silent"});
                return true;
            });
            announce_again(now, out);
            move_if_better(now, out);
            break;
    }
}

bool Group::eligible() const {
    return cluster_.role == NodeRole::router && !starting_ && !cluster_.drained &&
           !cluster_.resigned && newest_term() < last_term;
}

BootTime Group::leaderless_from(BootTime now) const {
    BootTime from = free_since_;
    if (last_leader_heard_ != long_ago) {
        from = std::max(from, last_leader_heard_ + cluster_.lease());
    }
    // The stagger counts from then on, also when it is over: those that hold back for a third must
    // not all ask at once.
    if (successor_ != cluster_.self) from = std::max(from, hold_back_until_);
    for (const Peer& peer : cluster_.peers) {
        // Of two leaders (N6) the one that was followed may have yielded to the other.
        if (!claims_lead(now, peer)) continue;
        from = std::max(from, peer.link.last_heard() + cluster_.lease());
    }
    return from;
}

BootTime Group::ask_at(BootTime now) const {
    if (promised(now) || !eligible()) return never;
    int better = 0;
    for (const Peer& peer : cluster_.peers) {
        const bool stands = peer.role == NodeRole::router && cluster_.alive(peer, now) &&
                            !peer.drained && peer.compatible &&
                            !(cluster_.majority() && peer.starting);
        if (stands && rank_of(peer) < own_rank()) ++better;
    }
    return std::max(leaderless_from(now) + cluster_.interval() * better, cluster_.listen_until);
}

// Asking and standing -------------------------------------------------------------------------

std::string Group::why_free(BootTime now) const {
    if (last_leader_ == no_node) return "election: nobody leads";
    if (last_leader_ == cluster_.self) return "election: nobody has led since this node";
    if (freed_by_release_) {
        return "takeover: " + cluster_.name(last_leader_) + " released its lease";
    }
    const Peer* peer = cluster_.find(last_leader_);
    const BootTime heard = peer != nullptr ? peer->link.last_heard() : long_ago;
    if (now - heard < cluster_.lease() / 2) {
        return "takeover: " + cluster_.name(last_leader_) + " leads no longer";
    }
    return "takeover: " + cluster_.name(last_leader_) + " silent for " + whole_ms(now - heard);
}

void Group::start_asking(BootTime now, Outbox& out) {
    const std::string why = why_free(now);
    if (!cluster_.majority()) {
        stand(now, why, out);
        return;
    }
    why_stand_ = why;
    asked_from_ = Sequence{cluster_.newest_sent.value + 1};
    enter(now, Phase::asking, why, out);
    out.broadcast = true;
    count_support(now, out);
}

void Group::count_support(BootTime now, Outbox& out) {
    int support = 1;
    for (const Peer& peer : cluster_.peers) {
        const GroupEntry* entry = peer.entry(id_, place_);
        const bool answered = cluster_.alive(peer, now) && peer.link.echoed() >= asked_from_;
        if (answered && peer.compatible && entry != nullptr && entry->supports == cluster_.self) {
            ++support;
        }
    }
    if (support >= cluster_.needed) stand(now, why_stand_, out);
}

Term Group::newest_term() const {
    Term newest = std::max({seen_, released_, term_, promise_.term});
    for (const Peer& peer : cluster_.peers) {
        const GroupEntry* entry = peer.entry(id_, place_);
        if (entry == nullptr) continue;
        // The term of somebody who only asks is a wish; it becomes one when he stands.
        const Term claimed = entry->claim == Claim::asking ? Term{} : entry->term;
        newest = std::max({newest, entry->seen, claimed, entry->promised_term, entry->released});
    }
    return newest;
}

Term Group::next_term() const {
    return Term{std::min(newest_term().value + 1, last_term.value)};
}

void Group::stand(BootTime now, const std::string& why, Outbox& out) {
    if (newest_term() >= last_term) return;
    term_ = next_term();
    seen_ = term_;
    promise_ = {cluster_.self, term_, now + cluster_.lease(), true};
    free_ = false;
    waiting_ = {};
    why_stand_ = why;
    std::fill(leases_.begin(), leases_.end(), long_ago);
    lease_until_ = long_ago;
    tolerated_ = 0;
    out.broadcast = true;
    if (!cluster_.majority()) {
        lease_from(cluster_.self) = now + usable(cluster_.lease());
        lead(now, why, out);
        return;
    }
    enter(now, Phase::candidate, why, out);
}

void Group::give_up(BootTime now, const std::string& why, Outbox& out) {
    released_ = std::max(released_, term_);
    term_ = Term{};
    end_promise(now, false);
    enter(now, Phase::follower, why, out);
    out.broadcast = true;
}

void Group::yield_to_rivals(BootTime now, const Peer& peer, const GroupEntry& entry, Outbox& out) {
    if (!peer.compatible || !(rank_of(peer) < own_rank())) return;
    // Not for ever: a better one that reaches no majority must not keep back one that does.
    const bool patient = now - leaderless_since_ < cluster_.lease() * 2;
    if (phase_ == Phase::asking && entry.claim == Claim::asking && patient) {
        enter(now, Phase::follower, peer.name + " stands and ranks before this node", out);
    } else if (phase_ == Phase::candidate && entry.claim == Claim::candidate) {
        give_up(now, peer.name + " stands and ranks before this node", out);
    }
}

void Group::credit(const Peer& peer, const GroupEntry& entry) {
    if (phase_ != Phase::candidate && phase_ != Phase::leader) return;
    if (!peer.compatible) return;
    if (entry.promised_to != cluster_.self || entry.promised_term != term_) return;
    // A promise to an earlier life of this node, in a term of the same number, is not renewed by
    // what this life sends: that only greets until the voter confirms it.
    if (!peer.link.knows_me()) return;
    const auto sent = cluster_.sent.find(peer.link.echoed());
    if (!sent) return;
    BootTime& lease = lease_from(peer.id);
    lease = std::max(lease, sent->at + usable(sent->lease));
}

int Group::running_leases(BootTime now) const {
    return static_cast<int>(
        std::count_if(leases_.begin(), leases_.end(), [&](BootTime until) { return until > now; }));
}

void Group::count_votes(BootTime now, Outbox& out) {
    if (running_leases(now) >= cluster_.needed) lead(now, why_stand_, out);
}

void Group::sent(BootTime now, Outbox& out) {
    if (phase_ != Phase::candidate && phase_ != Phase::leader) return;
    promise_.until = std::max(promise_.until, now + cluster_.lease());
    lease_from(cluster_.self) = now + usable(cluster_.lease());
    if (phase_ == Phase::candidate) count_votes(now, out);
    if (phase_ == Phase::leader) renew_lease(now, out);
}

// Ranks -----------------------------------------------------------------------------------------

std::size_t Group::preference(NodeId node) const {
    return static_cast<std::size_t>(std::find(prefer_.begin(), prefer_.end(), node) -
                                    prefer_.begin());
}

Group::Rank Group::rank_of(const Peer& peer) const {
    return {peer.demotion, preference(peer.id), peer.id};
}

Group::Rank Group::own_rank() const {
    return {cluster_.demotion, preference(cluster_.self), cluster_.self};
}

BootTime& Group::lease_from(NodeId voter) {
    const auto found = std::lower_bound(cluster_.voters.begin(), cluster_.voters.end(), voter);
    HAMR_ASSERT(found != cluster_.voters.end() && *found == voter);
    return leases_[static_cast<std::size_t>(found - cluster_.voters.begin())];
}

// What a group tells ----------------------------------------------------------------------------

void Group::enter(BootTime now, Phase phase, const std::string& why, Outbox& out) {
    if (phase == Phase::follower && phase_ == Phase::asking) free_since_ = now;
    phase_ = phase;
    phase_since_ = now;
    tell(now, why, out);
}

void Group::tell(BootTime now, const std::string& why, Outbox& out) {
    const State from = told_state_;
    told_state_ = state();
    if (from == told_state_ && why == reason_) return;  // from asking to standing
    if (from != told_state_) since_ = now;
    reason_ = why;
    out.actions.emplace_back(Transition{id_, cluster_.self, std::string(to_string(from)),
                                        std::string(to_string(told_state_)), why,
                                        term_.value != 0 ? term_ : seen_, now});
}

State Group::state() const {
    if (phase_ == Phase::leader) return State::leader;
    if (phase_ == Phase::asking || phase_ == Phase::candidate) return State::candidate;
    if (starting_) return State::starting;
    if (cluster_.role == NodeRole::witness) return State::witness;
    return cluster_.drained ? State::drained : State::follower;
}

GroupEntry Group::entry(BootTime now) const {
    GroupEntry entry;
    entry.group = id_;
    entry.seen = seen_;
    entry.released = released_;
    switch (phase_) {
        case Phase::follower:
            break;
        case Phase::asking:
            entry.claim = Claim::asking;
            entry.term = next_term();
            break;
        case Phase::candidate:
            entry.claim = Claim::candidate;
            entry.term = term_;
            break;
        case Phase::leader:
            entry.claim = Claim::leader;
            entry.term = term_;
            entry.announced = announced_;
            break;
    }
    if (promised(now) && promise_.current) {
        entry.promised_to = promise_.holder;
        entry.promised_term = promise_.term;
    }
    if (waiting_.until > now && cluster_.majority()) {
        const Peer* asker = cluster_.find(waiting_.node);
        if (asker != nullptr && may_support(now, *asker)) entry.supports = asker->id;
    }
    if (named_ != no_node && now < hold_back_until_) {
        entry.successor = named_;
        entry.forced = forced_;
    }
    return entry;
}

BootTime Group::next_wakeup(BootTime now) const {
    BootTime next = never;
    const auto consider = [&](BootTime at) {
        if (at > now) next = std::min(next, at);
    };
    if (starting_) consider(starting_until_);
    if (!free_) consider(promise_.until);
    switch (phase_) {
        case Phase::follower:
            next = std::min(next, std::max(ask_at(now), now));
            // Mode none: so that one that was held up until just then knows it (N1).
            if (!cluster_.majority()) consider(leaderless_from(now) - cluster_.interval() / 4);
            break;
        case Phase::asking:
            break;
        case Phase::candidate:
            consider(phase_since_ + cluster_.lease());
            break;
        case Phase::leader:
            consider(lease_until_);
            for (const Rival& rival : rivals_) consider(rival.heard + cluster_.lease());
            if (apart_ != no_node && announced_) consider(announce_again_at_);
            if (failback_ && failback_to_ != no_node) consider(failback_since_ + *failback_);
            break;
    }
    return next;
}

Group::Known Group::known(BootTime now) const {
    if (phase_ == Phase::leader) return {cluster_.self, term_, announced_};
    Known best;
    for (const Peer& peer : cluster_.peers) {
        if (!claims_lead(now, peer)) continue;
        const GroupEntry* entry = peer.entry(id_, place_);
        if (entry->term >= best.term) best = {peer.id, entry->term, entry->announced};
    }
    return best;
}

GroupStatus Group::status(BootTime now) const {
    GroupStatus status;
    status.name = name_;
    status.state = state();
    const Known leader = known(now);
    status.leader = leader.leader;
    status.term = leader.leader == no_node ? seen_ : leader.term;
    status.announced = leader.announced;
    // Of the leadership where there is one, else of this node's own state.
    const bool follows =
        leader.leader != no_node && leader.leader == last_leader_ && phase_ != Phase::leader;
    status.since = follows ? led_since_ : since_;
    status.reason = follows ? led_reason_ : reason_;
    status.needed = cluster_.needed;
    if (phase_ == Phase::leader) {
        status.lease = std::max(Duration::zero(), lease_until_ - now);
        status.votes = running_leases(now);
    }
    return status;
}

}  // namespace hamr::election
