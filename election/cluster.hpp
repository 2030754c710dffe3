// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/actions.hpp"
#include "election/beat_rate.hpp"
#include "election/peer_link.hpp"
#include "election/sent_ring.hpp"
#include "election/settings.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// What the groups of one node share: the node itself, and its peers as last heard.

namespace hamr::election {

struct Peer {
    NodeId id;
    std::string name;
    NodeRole role = NodeRole::router;
    PeerLink link;

    // As its newest used frame says.
    std::uint32_t demotion = 0;
    HealthEpoch epoch;
    bool starting = false;
    bool drained = false;
    /// What it counts with; nothing before its first frame, kept while it is silent (M18).
    std::optional<Membership> told;
    /// Same mode, and voters that differ by one at most: its votes count, and it gets ours.
    bool compatible = false;
    /// Anything of the configuration differs (for people).
    bool mismatch = false;
    /// What it has checked of this node's demotion (Echo::checked).
    HealthEpoch checked_mine;
    std::vector<GroupEntry> entries;

    /// When the peer's present epoch was first heard, and what this node has checked since.
    BootTime epoch_heard_at = long_ago;
    HealthEpoch checked;

    /// By path: when a frame of the peer's present boot last came over it, be it a copy. For people
    /// only, and not archived: a program that goes on with a life watches anew.
    std::array<BootTime, max_paths> heard_on = nothing_heard();
    BootTime paths_since = long_ago;  ///< watched since then
    /// While it leads. Likewise for people only.
    BeatRate beats;

    /// Its word on the group. `place` is the group's in this node's configuration, where it is
    /// found at once: nodes have the same file, and name the groups in its order.
    [[nodiscard]] const GroupEntry* entry(GroupId group, std::size_t place) const;
    void watch_paths(BootTime now);
    [[nodiscard]] static std::array<BootTime, max_paths> nothing_heard();

    /// What has been heard of it; who it is stands in the settings.
    template <class Archive>
    void archive(Archive& kept) {
        kept(link, demotion, epoch, starting, drained, told, compatible, mismatch, checked_mine,
             entries, epoch_heard_at, checked);
    }
};

struct Cluster {
    Settings settings;
    ClusterId id;
    NodeId self;
    NodeRole role = NodeRole::router;
    BootId boot;
    std::vector<Peer> peers;
    std::vector<NodeId> voters;  ///< ascending, with self
    int needed = 1;              ///< promises that make a leader, its own included

    Sequence newest_sent;
    SentRing sent;

    std::uint32_t demotion = 0;
    HealthEpoch epoch{1};  ///< 0 is "nothing checked" in an Echo
    bool urgent = false;
    std::string health_reason;
    bool drained = false;
    bool resigned = false;
    /// After this node was held up (mode none): nobody is taken for silent until then.
    BootTime listen_until = long_ago;

    Cluster(Settings settings_in, BootId boot_in);

    [[nodiscard]] Duration interval() const { return settings.timing.interval; }
    [[nodiscard]] Duration lease() const { return settings.timing.lease(); }
    [[nodiscard]] bool majority() const { return settings.mode == Mode::majority; }

    [[nodiscard]] const Peer* find(NodeId node) const;
    [[nodiscard]] Peer* find(NodeId node);
    [[nodiscard]] std::string name(NodeId node) const;

    /// Heard within D.
    [[nodiscard]] bool alive(const Peer& peer, BootTime now) const;

    /// The peer has told, in its newest frame, of one that this node sent within 2·D: frames get
    /// through both ways.
    [[nodiscard]] bool hears(const Peer& peer, BootTime now) const;

    /// Takes over what a used frame says of its sender (not its groups' meaning).
    void note(BootTime now, Peer& peer, const Frame& frame, bool new_boot);

    /// Goes on with what `was`, of the same life under other settings, knew of itself and of the
    /// peers that are still there.
    void go_on_from(const Cluster& was);

    /// All but the settings and what follows from them. Each peer is archived in its place.
    template <class Archive>
    void archive(Archive& kept) {
        kept(newest_sent, sent, demotion, epoch, urgent, health_reason, drained, resigned,
             listen_until);
        for (Peer& peer : peers) kept(peer);
    }

  private:
    void compare(Peer& peer) const;
};

}  // namespace hamr::election
