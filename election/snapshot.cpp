// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/snapshot.hpp"

#include "base/assert.hpp"
#include "election/archive.hpp"
#include "election/election.hpp"
#include "election/membership.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <sodium.h>

namespace hamr::election {

namespace {

using Checksum = std::array<std::byte, 32>;

Checksum checksum(Bytes bytes) {
    Checksum sum{};
    crypto_generichash(reinterpret_cast<unsigned char*>(sum.data()), sum.size(),
                       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), nullptr,
                       0);
    return sum;
}

template <class Id>
bool distinct(const std::vector<std::string>& names, Id (*id)(std::string_view)) {
    std::vector<Id> ids;
    for (const std::string& name : names) ids.push_back(id(name));
    std::sort(ids.begin(), ids.end());
    return std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

/// The settings that a life is bound to.
struct Header {
    BootId boot;
    std::string cluster;
    std::string self;
    std::vector<std::string> nodes;
    std::vector<NodeRole> roles;
    std::vector<std::string> groups;
    Mode mode = Mode::none;
    Timing timing;
    bool same_voters = false;

    Header() = default;
    Header(BootId boot_in, const Settings& settings)
        : boot(boot_in),
          cluster(settings.cluster),
          self(settings.self),
          mode(settings.mode),
          timing(settings.timing),
          same_voters(settings.same_voters) {
        for (const NodeSettings& node : settings.nodes) {
            nodes.push_back(node.name);
            roles.push_back(node.role);
        }
        for (const GroupSettings& group : settings.groups) groups.push_back(group.name);
    }

    template <class Archive>
    void archive(Archive& kept) {
        kept(boot, cluster, self, nodes, roles, groups, mode, timing, same_voters);
    }

    /// What a configuration can be: no assertion is to meet what some other program has left.
    [[nodiscard]] bool sound() const {
        const bool counts = boot.value != 0 && !nodes.empty() && nodes.size() <= max_nodes &&
                            roles.size() == nodes.size() && groups.size() <= max_groups;
        const bool timed = timing.interval > Duration::zero() && timing.interval <= longest_lease &&
                           timing.misses >= 2 && timing.misses <= 20 &&
                           timing.lease() <= longest_lease;
        const auto valid = [](NodeRole role) {
            return role == NodeRole::router || role == NodeRole::witness;
        };
        return counts && timed && (mode == Mode::none || mode == Mode::majority) &&
               std::all_of(roles.begin(), roles.end(), valid) &&
               std::find(nodes.begin(), nodes.end(), self) != nodes.end() &&
               distinct(nodes, node_id) && distinct(groups, group_id);
    }

    /// As far as a life is bound to them.
    [[nodiscard]] Settings settings() const {
        Settings settings;
        settings.cluster = cluster;
        settings.self = self;
        for (std::size_t node = 0; node < nodes.size(); ++node) {
            settings.nodes.push_back({nodes[node], roles[node]});
        }
        for (const std::string& group : groups) settings.groups.push_back({group, {}, {}});
        settings.mode = mode;
        settings.timing = timing;
        settings.same_voters = same_voters;
        return settings;
    }
};

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

std::string changed(const std::string& what, const std::string& before, const std::string& now) {
    return what + " " + before + " before, " + now + " now";
}

std::string difference(const Header& before, const Header& now) {
    if (before.cluster != now.cluster) {
        return changed("the cluster is", before.cluster, now.cluster);
    }
    if (before.self != now.self) return changed("this node is", before.self, now.self);
    if (before.nodes != now.nodes) {
        return changed("the nodes are", listed(before.nodes), listed(now.nodes));
    }
    if (before.roles != now.roles) return "a node has another role now";
    if (before.groups != now.groups) {
        return changed("the groups are", listed(before.groups), listed(now.groups));
    }
    if (before.mode != now.mode) {
        return changed("quorum is", std::string(to_string(before.mode)),
                       std::string(to_string(now.mode)));
    }
    if (before.timing != now.timing) return "the heartbeat's interval or misses are others now";
    return {};
}

NodeRole own_role(const Settings& settings) {
    for (const NodeSettings& node : settings.nodes) {
        if (node.name == settings.self) return node.role;
    }
    return NodeRole::witness;
}

/// Rule U2: what a life cannot go on with. Where it has promised, it goes on with what it has
/// promised, so lists may be one step apart.
std::string too_different(const Settings& before, const Settings& now) {
    if (before.cluster != now.cluster) {
        return changed("the cluster is", before.cluster, now.cluster);
    }
    if (before.self != now.self) return changed("this node is", before.self, now.self);
    if (own_role(before) != own_role(now)) return "this node has another role now";
    if (steps(membership(before).voters, membership(now).voters) > 1) {
        const Header one(BootId{}, before);
        return changed("more than one node changes: they are", listed(one.nodes),
                       listed(Header(BootId{}, now).nodes));
    }
    return {};
}

}  // namespace

std::vector<std::byte> seal_snapshot(std::uint32_t version, Bytes payload) {
    ByteWriter out;
    out.write(version);
    out.write(payload);
    const Checksum sum = checksum(out.view());
    out.write(Bytes(sum));
    return out.take();
}

Result<Bytes> open_snapshot(std::uint32_t version, Bytes sealed) {
    if (sealed.size() < sizeof version + Checksum{}.size())
        return fail("the snapshot is too short");
    const Bytes covered = sealed.first(sealed.size() - Checksum{}.size());
    const Checksum sum = checksum(covered);
    if (!std::equal(sum.begin(), sum.end(), sealed.begin() + static_cast<long>(covered.size()))) {
        return fail("the snapshot is damaged");
    }
    ByteReader in(covered);
    const auto wrote = in.read<std::uint32_t>();
    if (wrote != version) {
        return fail("the snapshot is of version " + std::to_string(wrote) + ", not " +
                    std::to_string(version));
    }
    return covered.subspan(sizeof version);
}

std::string difference(const Settings& before, const Settings& now) {
    return difference(Header(BootId{}, before), Header(BootId{}, now));
}

std::vector<std::byte> Election::save() const {
    HAMR_ASSERT(out_.actions.empty() && !out_.broadcast && !out_.answer);
    Saver saver;
    saver(Header(cluster_.boot, cluster_.settings));
    // The one list of members serves both directions; here it only reads.
    const_cast<Election*>(this)->archive(saver);
    return seal_snapshot(snapshot_version, saver.view());
}

Result<std::unique_ptr<Election>> Election::restore(Settings settings, Bytes saved, BootTime now) {
    const auto payload = open_snapshot(snapshot_version, saved);
    if (!payload) return tl::unexpected(payload.error());
    Loader loader(*payload);
    Header header;
    loader(header);
    if (!loader.ok() || !header.sound()) return fail("the snapshot is nonsense");
    Settings before = header.settings();
    const std::string other = too_different(before, settings);
    if (!other.empty()) return fail("the snapshot is of other settings: " + other);
    const bool same = difference(before, settings).empty();
    // The earlier life of this node is not what the agent's note says, but what the snapshot does.
    settings.same_voters =
        header.same_voters && membership(before).voters == membership(settings).voters;
    auto election =
        std::make_unique<Election>(same ? settings : std::move(before), header.boot, now);
    election->out_ = {};
    election->archive(loader);
    if (!loader.at_end()) return fail("the snapshot is nonsense");
    if (election->now_ > now) return fail("the snapshot is of the future");
    if (!same) {
        auto next = std::make_unique<Election>(std::move(settings), header.boot, now);
        next->go_on_from(*election, now);
        election = std::move(next);
    }
    // Rule U3: what was sent to this node meanwhile is lost. Mode none takes silence for death, so
    // it listens first, as after a start.
    if (now > election->now_) {
        Cluster& cluster = election->cluster_;
        if (!cluster.majority()) cluster.listen_until = now + cluster.lease();
        election->now_ = now;
        election->next_send_ = std::min(election->next_send_, now);  // it tells of itself at once
    }
    return election;
}

void Election::go_on_from(const Election& was, BootTime now) {
    out_ = {};
    cluster_.go_on_from(was.cluster_);
    now_ = was.now_;
    holds_ = was.holds_;
    next_send_ = was.next_send_;
    last_broadcast_ = was.last_broadcast_;
    requests_ = was.requests_;
    newest_request_ = was.newest_request_;
    obeyed_ = was.obeyed_;
    answer_ = was.answer_;
    answer_until_ = was.answer_until_;
    for (Group& group : groups_) {
        const auto known = std::find_if(was.groups_.begin(), was.groups_.end(),
                                        [&](const Group& each) { return each.id() == group.id(); });
        if (known != was.groups_.end()) {
            group.go_on_from(*known, now, out_);
        } else {
            // It may have been there before, and have promised something (rule M22).
            group.keep_still_for_long();
        }
    }
}

}  // namespace hamr::election
