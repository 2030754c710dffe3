// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/snapshot.hpp"

#include "base/assert.hpp"
#include "election/archive.hpp"
#include "election/election.hpp"

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

/// The settings that a life is bound to.
struct Header {
    BootId boot;
    std::string cluster;
    std::string self;
    std::vector<std::string> nodes;
    std::vector<NodeRole> roles;
    std::vector<std::string> groups;
    Mode mode = Mode::none;
    Duration interval{};
    int misses = 0;

    Header() = default;
    Header(BootId boot_in, const Settings& settings)
        : boot(boot_in),
          cluster(settings.cluster),
          self(settings.self),
          mode(settings.mode),
          interval(settings.timing.interval),
          misses(settings.timing.misses) {
        for (const NodeSettings& node : settings.nodes) {
            nodes.push_back(node.name);
            roles.push_back(node.role);
        }
        for (const GroupSettings& group : settings.groups) groups.push_back(group.name);
    }

    template <class Archive>
    void archive(Archive& kept) {
        kept(boot, cluster, self, nodes, roles, groups, mode, interval, misses);
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
    if (before.interval != now.interval || before.misses != now.misses) {
        return "the heartbeat's interval or misses are others now";
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
    if (!loader.ok() || header.boot.value == 0) return fail("the snapshot is nonsense");
    const std::string other = difference(header, Header(header.boot, settings));
    if (!other.empty()) return fail("the snapshot is of other settings: " + other);
    auto election = std::make_unique<Election>(std::move(settings), header.boot, now);
    election->out_ = {};
    election->archive(loader);
    if (!loader.at_end()) return fail("the snapshot is nonsense");
    if (election->now_ > now) return fail("the snapshot is of the future");
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

}  // namespace hamr::election
