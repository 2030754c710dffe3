// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/deaf_link.hpp"

#include <algorithm>

namespace hamr::daemon {

namespace {

bool is_on(const vip::Links::Link& link, const IpAddress& address) {
    return std::any_of(link.addresses.begin(), link.addresses.end(),
                       [&](const IpPrefix& there) { return there.address == address; });
}

const election::NodeStatus* find(std::span<const election::NodeStatus> nodes,
                                 election::NodeId node) {
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [&](const election::NodeStatus& candidate) {
            return election::node_id(candidate.name) == node;
        });
    return found == nodes.end() ? nullptr : &*found;
}

/// Every alive peer that should be heard there is silent, and there is one.
bool is_deaf(const vip::Links::Link& link, std::span<const election::NodeStatus> nodes,
             std::span<const election_io::Arrival> arrivals, BootTime now, Duration patience) {
    bool expected = false;
    for (const election_io::Arrival& arrival : arrivals) {
        const election::NodeStatus* peer = find(nodes, arrival.node);
        if (peer == nullptr || !peer->alive || !is_on(link, arrival.own.address)) continue;
        const BootTime at = peer->heard_on[static_cast<std::size_t>(arrival.path)];
        if (now - std::max(at, peer->paths_since) < patience) return false;
        expected = true;
    }
    return expected;
}

}  // namespace

std::optional<std::string> deaf_link(const vip::Links& links, const vip::PlanConfig& plan,
                                     std::span<const election::NodeStatus> nodes,
                                     std::span<const election_io::Arrival> arrivals, BootTime now,
                                     Duration patience) {
    for (const IpPrefix& address : plan.addresses) {
        const auto index = vip::choose_interface(links, plan, address);
        const vip::Links::Link* link = index ? links.find(*index) : nullptr;
        if (link == nullptr || !is_deaf(*link, nodes, arrivals, now, patience)) continue;
        return link->seen.name;
    }
    return std::nullopt;
}

}  // namespace hamr::daemon
