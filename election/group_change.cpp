// SPDX-License-Identifier: GPL-2.0-or-later
// The same group, in the same life, under another list of voters or in another mode.

#include "election/archive.hpp"
#include "election/group.hpp"

#include <algorithm>
#include <functional>

namespace hamr::election {

namespace {

BootTime nth_best(std::vector<BootTime> leases, std::size_t needed) {
    if (leases.size() < needed) return long_ago;
    const auto nth = leases.begin() + static_cast<std::ptrdiff_t>(needed - 1);
    std::nth_element(leases.begin(), nth, leases.end(), std::greater<>());
    return *nth;
}

}  // namespace

BootTime Group::lease_under(const std::vector<NodeId>& voters, Mode mode) const {
    if (mode != cluster_.settings.mode) return lease_until_;
    std::vector<BootTime> leases;
    for (const NodeId voter : voters) {
        const auto known = std::lower_bound(cluster_.voters.begin(), cluster_.voters.end(), voter);
        const bool counted = known != cluster_.voters.end() && *known == voter;
        leases.push_back(counted
                             ? leases_[static_cast<std::size_t>(known - cluster_.voters.begin())]
                             : long_ago);
    }
    return nth_best(std::move(leases), mode == Mode::majority ? voters.size() / 2 + 1 : 1);
}

void Group::go_on_from(const Group& was, BootTime now, Outbox& out) {
    const std::vector<NodeId>& voters = cluster_.voters;
    std::vector<BootTime> leases(voters.size(), long_ago);
    for (std::size_t voter = 0; voter < voters.size(); ++voter) {
        const auto& before = was.cluster_.voters;
        const auto known = std::find(before.begin(), before.end(), voters[voter]);
        if (known != before.end()) {
            leases[voter] = was.leases_[static_cast<std::size_t>(known - before.begin())];
        }
    }
    const BootTime lease = was.lease_under(voters, cluster_.settings.mode);
    const bool other_mode = cluster_.settings.mode != was.cluster_.settings.mode;
    Saver saver;
    saver(was);
    Loader loader(saver.view());
    loader(*this);
    leases_ = std::move(leases);
    if (voters != was.cluster_.voters) told_.clear();
    std::erase_if(rivals_,
                  [&](const Rival& rival) { return cluster_.find(rival.node) == nullptr; });
    if (other_mode) return change_mode(now, out);
    if (phase_ != Phase::leader || lease == lease_until_) return;
    // M20: the lease of one list means nothing in another. The gate moves before anything is told.
    lease_until_ = lease;
    out.actions.emplace_back(SetGate{id_, lease});
}

// M21. What a node promises in mode majority it has promised; a node in mode none promises nothing
// to anybody, so one that has been in that mode for as long as a promise lasts owes nothing.
void Group::change_mode(BootTime now, Outbox& out) {
    let_go(now, "quorum is " + std::string(to_string(cluster_.settings.mode)) + " now", out);
    if (cluster_.majority()) {
        promise_ = Promise{};
        free_ = true;
        starting_ = cluster_.voters.size() > 1 && now < starting_until_;
        free_since_ = leaderless_since_ = now;
    } else {
        starting_ = false;
        starting_until_ = now + longest_lease;
        free_since_ = now + cluster_.lease();
    }
    waiting_ = Waiting{};
    told_.clear();
    told_state_ = state();
}

void Group::let_go(BootTime now, const std::string& why, Outbox& out) {
    if (phase_ == Phase::candidate) give_up(now, why, out);
    if (phase_ == Phase::asking) enter(now, Phase::follower, why, out);
    if (phase_ != Phase::leader) return;
    const Peer* peer = heir(now);
    step_down(now, peer != nullptr ? peer->id : no_node,
              peer != nullptr ? why + ": handover to " + peer->name : why, out);
}

const Peer* Group::heir(BootTime now) const {
    const Peer* best = nullptr;
    for (const Peer& peer : cluster_.peers) {
        const bool ready = peer.role == NodeRole::router && cluster_.alive(peer, now) &&
                           cluster_.hears(peer, now) && peer.entry(id_, place_) != nullptr &&
                           !peer.drained && !peer.starting;
        if (ready && (best == nullptr || rank_of(peer) < rank_of(*best))) best = &peer;
    }
    return best;
}

bool Group::led_without_majority(BootTime now) const {
    return cluster_.majority() &&
           std::any_of(cluster_.peers.begin(), cluster_.peers.end(), [&](const Peer& peer) {
               return peer.told && peer.told->mode == Mode::none && claims_lead(now, peer);
           });
}

}  // namespace hamr::election
