// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/translate.hpp"

#include <chrono>

namespace hamr::daemon {

namespace {

/// Caches of neighbours and switches follow an announcement in far less.
constexpr Duration forward_after_handover = std::chrono::seconds{2};

election::Settings election_settings(const config::Config& config, std::size_t self) {
    election::Settings settings;
    settings.cluster = config.cluster;
    settings.self = config.nodes[self].name;
    settings.mode = config.effective_mode() == config::Mode::none ? election::Mode::none
                                                                  : election::Mode::majority;
    settings.timing = {config.heartbeat.interval, config.heartbeat.misses};
    for (const config::Node& node : config.nodes) {
        settings.nodes.push_back({node.name, node.role == config::NodeRole::witness
                                                 ? election::NodeRole::witness
                                                 : election::NodeRole::router});
    }
    for (const config::Group& group : config.groups) {
        election::GroupSettings& to = settings.groups.emplace_back();
        to.name = group.name;
        to.prefer = group.prefer;
        if (group.failback.enabled) to.failback = group.failback.after;
    }
    return settings;
}

}  // namespace

std::vector<Endpoint> endpoints(const config::Node& node, std::uint16_t port) {
    std::vector<Endpoint> list;
    for (const IpAddress& address : node.addresses) list.push_back({address, port});
    return list;
}

std::vector<std::vector<IpAddress>> group_addresses(const config::Config& config) {
    std::vector<std::vector<IpAddress>> groups;
    for (const config::Group& group : config.groups) {
        std::vector<IpAddress>& addresses = groups.emplace_back();
        for (const IpPrefix& prefix : group.addresses) addresses.push_back(prefix.address);
    }
    return groups;
}

std::vector<std::vector<IpAddress>> gate_groups(const Inputs& inputs) {
    auto groups = group_addresses(inputs.config);
    if (!inputs.retired.empty()) groups.push_back(inputs.retired);
    return groups;
}

std::vector<std::string> node_names(const config::Config& config) {
    std::vector<std::string> names;
    for (const config::Node& node : config.nodes) names.push_back(node.name);
    return names;
}

PulseConfig pulse_config(const config::Config& config, std::size_t self,
                         const std::vector<config::Key>& keys) {
    PulseConfig pulse;
    pulse.settings = election_settings(config, self);
    for (const config::Key& key : keys) pulse.keys.push_back({key.id, key.bytes});
    pulse.own = endpoints(config.nodes[self], config.heartbeat.port);
    for (std::size_t index = 0; index < config.nodes.size(); ++index) {
        if (index == self) continue;
        const config::Node& node = config.nodes[index];
        pulse.peers.push_back(
            {election::node_id(node.name), endpoints(node, config.heartbeat.port)});
    }
    const bool witness = config.nodes[self].role == config::NodeRole::witness;
    for (const config::Group& group : config.groups) {
        PulseGroup& to = pulse.groups.emplace_back();
        to.id = election::group_id(group.name);
        to.name = group.name;
        to.addresses.addresses = group.addresses;
        to.addresses.interface = group.interface.value_or("");
        to.addresses.node_addresses = config.nodes[self].addresses;
        to.addresses.refresh = config.announce_refresh;
        to.addresses.put_back = group.put_back;
    }
    pulse.holds_addresses = !witness;
    if (config.router.kind == config::RouterKind::embedded && !witness) {
        pulse.forward = forward_after_handover;
    }
    if (config.router.kind != config::RouterKind::none && !witness) {
        pulse.health_sources.push_back("router");
    }
    return pulse;
}

}  // namespace hamr::daemon
