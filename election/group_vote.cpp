// SPDX-License-Identifier: GPL-2.0-or-later
// Promises: what this node owes to others.

#include "election/group.hpp"

#include <algorithm>

namespace hamr::election {

void Group::leave_quarantine_if_told(BootTime now, const Peer& peer, const GroupEntry* entry,
                                     Outbox& out) {
    // One of other members may know a holder that this node has never heard of. So may have its own
    // earlier life: a holder that is no member any more tells nobody.
    if (!starting_ || still_for_long_ || peer.mismatch || !cluster_.settings.same_voters) return;
    // The frame echoes this boot, so it was sent after the earlier life of this node had ended: a
    // peer that holds no lease then will never rest one on a promise of that life.
    const bool holds =
        entry != nullptr && (entry->claim == Claim::leader || entry->claim == Claim::candidate);
    if (holds || std::find(told_.begin(), told_.end(), peer.id) != told_.end()) return;
    told_.push_back(peer.id);
    if (told_.size() < cluster_.peers.size()) return;
    starting_ = false;
    free_since_ = now;
    enter(now, Phase::follower, "every member told that it holds no lease", out);
}

void Group::end_promise(BootTime now, bool released) {
    promise_.until = std::min(promise_.until, now);
    if (!free_ && promise_.holder != cluster_.self) leaderless_since_ = now;
    free_ = true;
    free_since_ = now;
    freed_by_release_ = released;
}

void Group::note_release(BootTime now, const Peer& peer, const GroupEntry& entry, Outbox& out) {
    const bool of_holder = promise_.holder == peer.id && entry.released >= promise_.term;
    if (of_holder && promised(now)) {
        end_promise(now, true);
        last_leader_heard_ = long_ago;
        out.answer = out.answer || waiting_.until > now;
    } else if (last_leader_ == peer.id && entry.claim == Claim::none && !promised(now) &&
               entry.released >= last_leader_term_ && last_leader_heard_ != long_ago) {
        // A leader to which nothing was promised, of another mode (M21), has let go.
        last_leader_heard_ = long_ago;
        free_since_ = now;
        freed_by_release_ = true;
    }
    // A sender that knows of a newer term repeats what is over (a new life here cannot tell).
    const bool latest = entry.released >= std::max(seen_, entry.seen);
    const bool news = entry.successor != no_node && entry.released > handled_release_ && latest &&
                      phase_ != Phase::leader;
    if (!news) return;
    named_ = no_node;
    handled_release_ = entry.released;
    successor_ = entry.successor;
    hold_back_until_ = now + hold_back();
    if (phase_ == Phase::asking && successor_ != cluster_.self) {
        enter(now, Phase::follower, "handover from " + peer.name, out);
    }
    if (successor_ != cluster_.self || !eligible() || promised(now)) return;
    if (led_without_majority(now)) return;
    if (now < cluster_.listen_until) return;  // an old offer, perhaps: ask_at() comes back to it
    if (phase_ == Phase::follower || phase_ == Phase::asking) {
        stand(now, "handover from " + peer.name, out);
        // What an operator insisted on is not to be undone at once (rule H13).
        if (entry.forced) tolerated_ = cluster_.demotion;
    }
}

// Mode none: a successor that has itself been held up listens for D before it takes up the offer.
// The others give it an interval more, else all of them would step forward at once.
Duration Group::hold_back() const {
    return cluster_.majority() ? cluster_.lease() : cluster_.lease() + cluster_.interval();
}

bool Group::holds_back(BootTime now) const {
    return successor_ != no_node && now < hold_back_until_;
}

bool Group::may_grant(BootTime now, const Peer& peer) const {
    if (led_without_majority(now)) return false;
    if (starting_ || phase_ == Phase::candidate || phase_ == Phase::leader) return false;
    if (promised(now) && promise_.holder != peer.id) return false;
    return !holds_back(now) || successor_ == peer.id;
}

bool Group::may_support(BootTime now, const Peer& peer) const {
    if (!may_grant(now, peer)) return false;
    if (phase_ != Phase::asking || rank_of(peer) < own_rank()) return true;
    // One that has asked in vain for longer than others yield is not the one who reaches a
    // majority.
    return now - leaderless_since_ >= cluster_.lease() * 3;
}

bool Group::grant(BootTime now, const Peer& peer, const GroupEntry& entry, Duration lease,
                  Outbox& out) {
    const bool same = promise_.holder == peer.id && promise_.term == entry.term;
    const bool renewal =
        same && !starting_ && phase_ != Phase::candidate && phase_ != Phase::leader;
    const bool fresh = entry.term > seen_ && may_grant(now, peer);
    if (!renewal && !fresh) return false;
    promise_.holder = peer.id;
    promise_.term = entry.term;
    promise_.until = std::max(promise_.until, now + lease);
    promise_.current = true;
    seen_ = std::max(seen_, entry.term);
    free_ = false;
    if (waiting_.node == peer.id) waiting_ = {};
    if (phase_ == Phase::asking) enter(now, Phase::follower, "votes for " + peer.name, out);
    return true;
}

void Group::remember(BootTime now, const Peer& peer, Duration lease) {
    const bool taken = waiting_.until > now && waiting_.node != peer.id;
    if (taken) {
        const Peer* other = cluster_.find(waiting_.node);
        if (other != nullptr && rank_of(*other) < rank_of(peer)) return;
    }
    const bool told = taken ? false : waiting_.told && waiting_.until > now;
    waiting_ = {peer.id, now + cluster_.interval() * 3 / 2, lease, told};
}

void Group::vote(BootTime now, const Peer& peer, const GroupEntry& entry, const Frame& frame,
                 Outbox& out) {
    bool renewed = false;
    if (peer.compatible && entry.claim != Claim::none) {
        const Duration lease = frame.timing.lease();
        if (entry.claim == Claim::asking) {
            // Whom this node's support cannot reach would keep it from those whom it can.
            if (cluster_.hears(peer, now)) remember(now, peer, lease);
        } else {
            renewed = grant(now, peer, entry, lease, out);
            if (!renewed && entry.claim == Claim::candidate) remember(now, peer, lease);
        }
    }
    if (promise_.holder == peer.id && !renewed) promise_.current = false;
}

void Group::follow_silence(BootTime now, const Peer& peer, const GroupEntry& entry,
                           const Frame& frame) {
    if (entry.claim != Claim::leader || phase_ == Phase::leader) return;
    seen_ = std::max(seen_, entry.term);
    if (promised(now) && promise_.holder != peer.id && entry.term <= promise_.term) return;
    promise_ = {peer.id, entry.term, now + frame.timing.lease(), true};
    free_ = false;
}

void Group::answer_waiting(BootTime now, Outbox& out) {
    if (waiting_.until <= now || promised(now)) return;
    const Peer* peer = cluster_.find(waiting_.node);
    const GroupEntry* entry = peer != nullptr ? peer->entry(id_, place_) : nullptr;
    if (entry == nullptr || !peer->compatible) return;
    if (entry->claim == Claim::candidate) {
        if (grant(now, *peer, *entry, waiting_.lease, out)) out.broadcast = true;
    } else if (!waiting_.told && entry->claim == Claim::asking && may_support(now, *peer)) {
        waiting_.told = true;  // once; what it asks again is answered as any frame is
        out.broadcast = true;
    }
}

void Group::note_leader(BootTime now, const Peer& peer, Term term, Outbox& out) {
    if (peer.id == last_leader_ && term == last_leader_term_) return;
    const bool same = peer.id == last_leader_ && last_leader_term_.value != 0;
    if (!same) {
        const bool named = holds_back(now) && successor_ == peer.id;
        led_since_ = now;
        if (last_leader_ == no_node) {
            led_reason_ = "found leading";
        } else if (named) {
            led_reason_ = "handover from " + cluster_.name(last_leader_);
        } else if (still_leads(now, last_leader_)) {
            led_reason_ = cluster_.name(last_leader_) + " also leads";
        } else {
            led_reason_ = why_free(now);
        }
        out.actions.emplace_back(Transition{id_, peer.id, std::string(to_string(State::follower)),
                                            std::string(to_string(State::leader)), led_reason_,
                                            term, now});
    }
    last_leader_term_ = term;
}

// Mode none: two that cannot hear one another both lead. Who hears both keeps to one of them, else
// its history would tell of a change with every frame.
bool Group::follows_another(BootTime now, NodeId leader, Term term) const {
    return last_leader_ != leader && term <= last_leader_term_ && still_leads(now, last_leader_);
}

bool Group::still_leads(BootTime now, NodeId leader) const {
    const Peer* peer = cluster_.majority() ? nullptr : cluster_.find(leader);
    return peer != nullptr && claims_lead(now, *peer);
}

bool Group::claims_lead(BootTime now, const Peer& peer) const {
    const GroupEntry* word = peer.entry(id_, place_);
    return word != nullptr && word->claim == Claim::leader && cluster_.alive(peer, now);
}

void Group::follow_leader(BootTime now, const Peer& peer, Term term, Outbox& out) {
    if (!follows_another(now, peer.id, term)) {
        note_leader(now, peer, term, out);
        last_leader_ = peer.id;
    }
    // Nobody need take up what this node has offered (N7).
    if (!cluster_.majority()) named_ = no_node;
    last_leader_heard_ = now;
    if (phase_ == Phase::asking) {
        enter(now, Phase::follower, "heard the leader " + peer.name, out);
    } else if (phase_ == Phase::candidate) {
        give_up(now, "heard the leader " + peer.name, out);
    }
}

void Group::receive(BootTime now, const Peer& peer, const GroupEntry* entry, const Frame& frame,
                    Outbox& out) {
    static constexpr GroupEntry nothing{};
    leave_quarantine_if_told(now, peer, entry, out);
    const GroupEntry& word = entry != nullptr ? *entry : nothing;
    note_release(now, peer, word, out);
    if (word.claim == Claim::leader && phase_ != Phase::leader)
        follow_leader(now, peer, word.term, out);
    if (cluster_.majority()) {
        yield_to_rivals(now, peer, word, out);
        vote(now, peer, word, frame, out);
        credit(peer, word);
        if (phase_ == Phase::asking) count_support(now, out);
        if (phase_ == Phase::candidate) count_votes(now, out);
        if (phase_ == Phase::leader) renew_lease(now, out);
        if (phase_ == Phase::leader) raise_term(now, out);
    } else {
        if (phase_ == Phase::leader) settle(now, peer, entry, out);
        follow_silence(now, peer, word, frame);
    }
    if (phase_ == Phase::leader) move_if_better(now, out);
}

}  // namespace hamr::election
