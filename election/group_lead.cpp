// SPDX-License-Identifier: GPL-2.0-or-later
// Leading: the lease, the ways to lose it, and whom to give it to.

#include "election/group.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <tuple>

namespace hamr::election {

void Group::lead(BootTime now, const std::string& why, Outbox& out) {
    announced_ = false;
    rivals_.clear();
    apart_ = no_node;
    failback_to_ = no_node;
    named_ = no_node;
    successor_ = no_node;
    last_leader_ = cluster_.self;
    last_leader_term_ = term_;
    last_leader_heard_ = long_ago;
    lease_until_ = long_ago;
    renew_lease(now, out);
    out.actions.emplace_back(Lead{id_, term_});
    enter(now, Phase::leader, why, out);
    out.broadcast = true;
}

void Group::renew_lease(BootTime now, Outbox& out) {
    std::array<BootTime, max_nodes> best{};
    const auto end = std::copy(leases_.begin(), leases_.end(), best.begin());
    const auto nth = best.begin() + (cluster_.needed - 1);
    std::nth_element(best.begin(), nth, end, std::greater<>());
    if (*nth <= lease_until_ || *nth <= now) return;
    lease_until_ = *nth;
    out.actions.emplace_back(SetGate{id_, lease_until_});
}

void Group::step_down(BootTime now, NodeId successor, const std::string& why, Outbox& out) {
    // The order is the point: nothing leaves as the address any more before anybody is told.
    out.actions.emplace_back(SetGate{id_, now});
    out.actions.emplace_back(StepDown{id_, term_, successor});
    released_ = std::max(released_, term_);
    term_ = Term{};
    lease_until_ = long_ago;
    std::fill(leases_.begin(), leases_.end(), long_ago);
    end_promise(now, true);
    named_ = successor;
    forced_ = false;
    successor_ = successor;
    hold_back_until_ = successor == no_node ? long_ago : now + hold_back();
    enter(now, Phase::follower, why, out);
    out.broadcast = true;
}

void Group::announced(Term term, Outbox& out) {
    if (phase_ != Phase::leader || announced_ || term > term_) return;
    announced_ = true;
    out.broadcast = true;
}

void Group::reunited(BootTime now, const Peer& peer) {
    if (phase_ != Phase::leader || !cluster_.majority()) return;
    apart_ = peer.id;
    announce_again_at_ = std::max(now, announce_again_at_);
}

void Group::announce_again(BootTime now, Outbox& out) {
    if (apart_ == no_node || !announced_ || now < announce_again_at_) return;
    out.actions.emplace_back(AnnounceAgain{id_, cluster_.name(apart_) + " is heard again"});
    apart_ = no_node;
    announce_again_at_ = now + reunion_period;
}

void Group::raise_term(BootTime now, Outbox& out) {
    if (now - raised_at_ < cluster_.lease() || newest_term() >= last_term) return;
    for (const Peer& peer : cluster_.peers) {
        const GroupEntry* entry = peer.entry(id_, place_);
        const bool lost = entry != nullptr && cluster_.alive(peer, now) && peer.compatible &&
                          entry->seen > term_ && entry->promised_to != cluster_.self;
        if (!lost) continue;
        term_ = next_term();
        seen_ = term_;
        promise_.term = term_;
        raised_at_ = now;
        enter(now, Phase::leader, "newer term: " + peer.name + " had granted one", out);
        out.broadcast = true;
        return;
    }
}

// Mode none: two leaders that meet (rules N).
void Group::settle(BootTime now, const Peer& peer, const GroupEntry* entry, Outbox& out) {
    const bool claims = entry != nullptr && entry->claim == Claim::leader;
    auto known = std::find_if(rivals_.begin(), rivals_.end(),
                              [&](const Rival& rival) { return rival.node == peer.id; });
    if (!claims) {
        if (known == rivals_.end()) return;
        rivals_.erase(known);
        out.actions.emplace_back(AnnounceAgain{id_, peer.name + ", which also led, has yielded"});
        return;
    }
    // Each for itself: where three lead, two that are heard in turn are both settled with.
    if (known == rivals_.end()) {
        known = rivals_.insert(known, {peer.id, now, cluster_.newest_sent, now});
    } else if (now - known->heard >= cluster_.lease()) {
        *known = {peer.id, now, cluster_.newest_sent, now};
    }
    known->heard = now;
    if (peer.link.echoed() > known->from) {
        const auto mine =
            std::make_tuple(cluster_.demotion, ~term_.value, preference(cluster_.self));
        const auto other = std::make_tuple(peer.demotion, ~entry->term.value, preference(peer.id));
        // One that a majority has elected does not compare, so this one gives way (M21).
        const bool elected = peer.told && peer.told->mode == Mode::majority;
        if (elected || other < mine) {
            step_down(
                now, no_node,
                peer.name + (elected ? " leads by a majority" : " also leads and ranks first"),
                out);
        }
    } else if (now - known->since >= cluster_.lease()) {
        step_down(now, no_node, peer.name + " also leads and does not hear this node", out);
    }
}

// Handover (rules H) ------------------------------------------------------------------------------

AskResult Group::fitness(BootTime now, const Peer& peer, bool force) const {
    if (peer.role == NodeRole::witness) return AskResult::target_witness;
    const bool both_ways = cluster_.alive(peer, now) && cluster_.hears(peer, now);
    if (!both_ways || peer.entry(id_, place_) == nullptr) return AskResult::target_silent;
    if (peer.drained) return AskResult::target_drained;
    if (!peer.compatible || (cluster_.majority() && peer.starting)) {
        return AskResult::target_starting;
    }
    if (peer.demotion > cluster_.demotion && !force) return AskResult::target_worse;
    return AskResult::accepted;
}

const Peer* Group::best_successor(BootTime now, std::uint32_t worst) const {
    const Peer* best = nullptr;
    for (const Peer& peer : cluster_.peers) {
        if (peer.demotion > worst || fitness(now, peer, true) != AskResult::accepted) continue;
        if (best == nullptr || rank_of(peer) < rank_of(*best)) best = &peer;
    }
    return best;
}

const Peer* Group::failback_target(BootTime now) const {
    if (!failback_) return nullptr;
    const Peer* best = nullptr;
    for (const Peer& peer : cluster_.peers) {
        if (fitness(now, peer, false) != AskResult::accepted) continue;
        if (preference(peer.id) >= preference(cluster_.self)) continue;
        if (best == nullptr || rank_of(peer) < rank_of(*best)) best = &peer;
    }
    return best;
}

void Group::move_if_better(BootTime now, Outbox& out) {
    if (!rivals_.empty()) return;
    if (cluster_.drained) {
        // Nobody gains when the one that serves makes room for one that does not (H9).
        const Peer* peer = best_successor(now, cluster_.demotion);
        if (peer != nullptr) {
            step_down(now, peer->id, "drained: handover to " + peer->name, out);
            return;
        }
    }
    tolerated_ = std::min(tolerated_, cluster_.demotion);
    if (cluster_.demotion > tolerated_) {
        const Peer* better = nullptr;
        for (const Peer& peer : cluster_.peers) {
            // A cause that peers may share counts only once they have looked after hearing of it:
            // when the backends' primary changes, everybody is sick and nothing should move. Nor
            // when it is over and a peer has seen that first: the leader looks once more.
            const bool looked = cluster_.urgent ||
                                (peer.checked_mine >= cluster_.epoch && peer.checked == peer.epoch);
            if (!looked || peer.demotion >= cluster_.demotion) continue;
            if (fitness(now, peer, false) != AskResult::accepted) continue;
            if (better == nullptr || rank_of(peer) < rank_of(*better)) better = &peer;
        }
        if (better != nullptr) {
            step_down(now, better->id, cluster_.health_reason + ": handover to " + better->name,
                      out);
            return;
        }
    }
    const Peer* back = failback_target(now);
    const NodeId back_to = back != nullptr ? back->id : no_node;
    if (back_to != failback_to_) {
        failback_to_ = back_to;
        failback_since_ = now;
    }
    if (back != nullptr && now - failback_since_ >= *failback_) {
        step_down(now, back->id, "failback to " + back->name, out);
    }
}

AskResult Group::hand_over(BootTime now, NodeId target, bool force, const std::string& why,
                           NodeId& successor, Outbox& out) {
    // Two that lead settle between themselves first (rule N7): a third would be one too many.
    if (phase_ != Phase::leader || !rivals_.empty()) return AskResult::not_leader;
    if (target == cluster_.self) {
        successor = cluster_.self;
        return AskResult::already_leader;
    }
    const Peer* peer = nullptr;
    if (target == no_node) {
        peer = best_successor(now, UINT32_MAX);
        if (peer == nullptr) return AskResult::no_candidate;
    } else {
        peer = cluster_.find(target);
        if (peer == nullptr) return AskResult::unknown_target;
    }
    const AskResult fit = fitness(now, *peer, force);
    if (fit != AskResult::accepted) return fit;
    successor = peer->id;
    const bool forced = peer->demotion > cluster_.demotion;
    step_down(now, peer->id, why + ": handover to " + peer->name, out);
    forced_ = forced;
    return AskResult::accepted;
}

void Group::resign(BootTime now, Outbox& out) {
    if (phase_ == Phase::candidate) give_up(now, "the agent stops", out);
    if (phase_ == Phase::asking) enter(now, Phase::follower, "the agent stops", out);
    if (phase_ != Phase::leader) return;
    const Peer* peer = best_successor(now, UINT32_MAX);
    if (peer == nullptr) {
        step_down(now, no_node, "the agent stops; nobody can take over", out);
    } else {
        step_down(now, peer->id, "the agent stops: handover to " + peer->name, out);
    }
}

}  // namespace hamr::election
