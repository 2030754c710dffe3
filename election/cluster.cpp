// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/cluster.hpp"

#include "base/assert.hpp"
#include "election/membership.hpp"

#include <algorithm>

namespace hamr::election {

const GroupEntry* Peer::entry(GroupId group, std::size_t place) const {
    if (place < entries.size() && entries[place].group == group) return &entries[place];
    for (const GroupEntry& candidate : entries) {
        if (candidate.group == group) return &candidate;
    }
    return nullptr;
}

std::array<BootTime, max_paths> Peer::nothing_heard() {
    std::array<BootTime, max_paths> heard{};
    heard.fill(long_ago);
    return heard;
}

void Peer::watch_paths(BootTime now) {
    heard_on = nothing_heard();
    paths_since = now;
    beats = BeatRate{};
}

Cluster::Cluster(Settings settings_in, BootId boot_in)
    : settings(std::move(settings_in)),
      id(cluster_id(settings.cluster)),
      self(node_id(settings.self)),
      boot(boot_in) {
    HAMR_ASSERT(boot.value != 0);
    HAMR_ASSERT(!settings.nodes.empty() && settings.nodes.size() <= max_nodes);
    HAMR_ASSERT(settings.groups.size() <= max_groups);
    HAMR_ASSERT(settings.timing.misses >= 2 && settings.timing.interval > Duration::zero());
    HAMR_ASSERT(lease() <= longest_lease);
    bool found = false;
    for (const NodeSettings& node : settings.nodes) {
        const NodeId node_of = node_id(node.name);
        voters.push_back(node_of);
        if (node_of == self) {
            found = true;
            role = node.role;
            continue;
        }
        Peer& peer = peers.emplace_back();
        peer.id = node_of;
        peer.name = node.name;
        peer.role = node.role;
    }
    HAMR_ASSERT(found);
    std::sort(voters.begin(), voters.end());
    HAMR_ASSERT(std::adjacent_find(voters.begin(), voters.end()) == voters.end());
    needed = majority() ? static_cast<int>(voters.size()) / 2 + 1 : 1;
}

const Peer* Cluster::find(NodeId node) const {
    const auto found =
        std::find_if(peers.begin(), peers.end(), [&](const Peer& peer) { return peer.id == node; });
    return found == peers.end() ? nullptr : &*found;
}

Peer* Cluster::find(NodeId node) {
    return const_cast<Peer*>(static_cast<const Cluster*>(this)->find(node));
}

std::string Cluster::name(NodeId node) const {
    if (node == self) return settings.self;
    const Peer* peer = find(node);
    return peer != nullptr ? peer->name : "nobody";
}

bool Cluster::alive(const Peer& peer, BootTime now) const {
    return peer.link.heard() && now - peer.link.last_heard() < lease();
}

bool Cluster::hears(const Peer& peer, BootTime now) const {
    const auto echoed = sent.find(peer.link.echoed());
    return echoed && now - echoed->at < lease() * 2;
}

void Cluster::compare(Peer& peer) const {
    if (!peer.told) return;
    const Membership mine{voters, settings.mode, settings.timing};
    peer.mismatch = *peer.told != mine;
    peer.compatible = peer.told->mode == settings.mode && steps(voters, peer.told->voters) <= 1;
}

void Cluster::go_on_from(const Cluster& was) {
    newest_sent = was.newest_sent;
    sent = was.sent;
    demotion = was.demotion;
    epoch = was.epoch;
    urgent = was.urgent;
    health_reason = was.health_reason;
    drained = was.drained;
    resigned = was.resigned;
    listen_until = was.listen_until;
    for (Peer& peer : peers) {
        const Peer* known = was.find(peer.id);
        if (known == nullptr) {
            peer.link.heard_only_after(newest_sent);
            continue;
        }
        const Peer named = peer;
        peer = *known;
        peer.name = named.name;
        peer.role = named.role;
        compare(peer);
    }
}

void Cluster::note(BootTime now, Peer& peer, const Frame& frame, bool new_boot) {
    if (new_boot || frame.epoch != peer.epoch) {
        peer.epoch_heard_at = now;
        peer.checked = HealthEpoch{};
    }
    peer.epoch = frame.epoch;
    peer.demotion = frame.demotion;
    peer.starting = frame.starting;
    peer.drained = frame.drained;
    const bool same = peer.told && peer.told->voters == frame.voters &&
                      peer.told->mode == frame.mode && peer.told->timing == frame.timing;
    if (!same) {
        peer.told = Membership{frame.voters, frame.mode, frame.timing};
        compare(peer);
    }
    peer.entries = frame.groups;
    for (const Echo& echo : frame.echoes) {
        if (echo.node == self && echo.boot == boot) peer.checked_mine = echo.checked;
    }
}

}  // namespace hamr::election
