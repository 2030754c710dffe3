// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/node_paths.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

namespace hamr::daemon {

namespace {

std::vector<election_io::Arrival> arrivals_of(const election::NodeStatus& peer,
                                              std::span<const election_io::Arrival> arrivals) {
    const election::NodeId node = election::node_id(peer.name);
    std::vector<election_io::Arrival> own;
    std::copy_if(arrivals.begin(), arrivals.end(), std::back_inserter(own),
                 [&](const election_io::Arrival& arrival) { return arrival.node == node; });
    return own;
}

BootTime heard_on(const election::NodeStatus& peer, const election_io::Arrival& arrival) {
    return peer.heard_on[static_cast<std::size_t>(arrival.path)];
}

std::string seconds(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.0f s", to_ms(duration) / 1000);
    return text;
}

std::string silence(const election::NodeStatus& peer, const election_io::Arrival& arrival,
                    BootTime now) {
    const BootTime at = heard_on(peer, arrival);
    const std::string where =
        arrival.peer.address.to_string() + " to " + arrival.own.address.to_string();
    return where + (at == long_ago ? " never heard" : " silent for " + seconds(now - at));
}

}  // namespace

std::vector<control::PathStatus> paths_of(const election::NodeStatus& peer,
                                          std::span<const election_io::Arrival> arrivals,
                                          BootTime now) {
    std::vector<control::PathStatus> paths;
    for (const election_io::Arrival& arrival : arrivals_of(peer, arrivals)) {
        control::PathStatus& path = paths.emplace_back();
        path.own = arrival.own.address.to_string();
        path.peer = arrival.peer.address.to_string();
        const BootTime at = heard_on(peer, arrival);
        if (at != long_ago) path.last_heard_ms = to_ms(now - at);
    }
    return paths;
}

std::optional<control::Warning> lost_paths(const election::NodeStatus& peer,
                                           std::span<const election_io::Arrival> arrivals,
                                           BootTime now, Duration patience) {
    if (!peer.alive) return std::nullopt;
    const std::vector<election_io::Arrival> own = arrivals_of(peer, arrivals);
    std::string lost;
    std::size_t heard = 0;
    for (const election_io::Arrival& arrival : own) {
        const BootTime at = std::max(heard_on(peer, arrival), peer.paths_since);
        if (now - at < patience) {
            ++heard;
        } else {
            lost += (lost.empty() ? "" : ", ") + silence(peer, arrival, now);
        }
    }
    if (lost.empty() || heard == 0) return std::nullopt;
    return control::Warning{
        peer.name + " is heard over " + std::to_string(heard) + " of " +
            std::to_string(own.size()) + " paths (" + lost + ")",
        "look at that network: cable, switch, addresses, firewall; nothing is lost yet, but " +
            peer.name + " is cut off when the rest goes, too"};
}

}  // namespace hamr::daemon
