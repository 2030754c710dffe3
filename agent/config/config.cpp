// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/config.hpp"

#include "agent/config/kinds.hpp"

#include <algorithm>

namespace hamr::config {

Mode Config::effective_mode() const {
    if (quorum == Quorum::automatic) return nodes.size() >= 3 ? Mode::majority : Mode::none;
    return quorum == Quorum::majority ? Mode::majority : Mode::none;
}

const Node* Config::find_node(std::string_view name) const {
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == name; });
    return found == nodes.end() ? nullptr : &*found;
}

std::string_view Router::kind_name() const {
    if (kind == RouterKind::embedded) return router_kinds[0];
    if (kind == RouterKind::none) return router_kinds[1];
    return router_kinds[first_supervised + static_cast<std::size_t>(provider.kind)];
}

Result<std::size_t> find_self(const Config& config, const std::optional<std::string>& name,
                              const std::vector<IpAddress>& local) {
    std::string names;
    for (const Node& node : config.nodes) names += (names.empty() ? "" : ", ") + node.name;

    std::vector<std::size_t> matches;
    for (std::size_t i = 0; i < config.nodes.size(); ++i) {
        const Node& node = config.nodes[i];
        const bool here = std::any_of(
            node.addresses.begin(), node.addresses.end(), [&](const IpAddress& address) {
                return std::find(local.begin(), local.end(), address) != local.end();
            });
        if (name ? node.name == *name : here) matches.push_back(i);
    }
    if (matches.size() == 1) return matches.front();
    if (name) {
        return fail("--node " + *name + ": the configuration has no such node; it has: " + names);
    }
    if (matches.empty()) {
        return fail("this host has no address of any node (" + names +
                    "); add the host to `nodes`, or name it with --node NAME");
    }
    return fail("this host has addresses of several nodes (" + config.nodes[matches[0]].name +
                ", " + config.nodes[matches[1]].name + "); say which it is with --node NAME");
}

std::string_view to_string(NodeRole role) {
    return role == NodeRole::router ? "router" : "witness";
}

std::string_view to_string(Quorum quorum) {
    switch (quorum) {
        case Quorum::automatic:
            return "auto";
        case Quorum::majority:
            return "majority";
        case Quorum::none:
            return "none";
    }
    return "auto";
}

std::string_view to_string(Mode mode) {
    return mode == Mode::majority ? "majority" : "none";
}

std::string_view to_string(RouteTarget target) {
    return target == RouteTarget::primary ? "primary" : "secondary";
}

}  // namespace hamr::config
