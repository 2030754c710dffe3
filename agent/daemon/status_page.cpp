// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/status_page.hpp"

#include "agent/daemon/node_paths.hpp"
#include "agent/daemon/translate.hpp"
#include "agent/daemon/warnings.hpp"
#include "election/membership.hpp"

#include <algorithm>
#include <chrono>

namespace hamr::daemon {

namespace {

void show_groups(const config::Config& config, const PulseStatus& pulse, control::Status& status) {
    for (std::size_t index = 0; index < pulse.election.groups.size(); ++index) {
        const election::GroupStatus& from = pulse.election.groups[index];
        control::GroupStatus& group = status.groups.emplace_back();
        group.name = from.name;
        for (const IpPrefix& prefix : config.groups[index].addresses) {
            group.addresses.push_back(prefix.to_string());
        }
        switch (from.state) {
            case election::State::starting:
                group.state = control::GroupState::starting;
                break;
            case election::State::follower:
                group.state = control::GroupState::follower;
                break;
            case election::State::candidate:
                group.state = control::GroupState::candidate;
                break;
            case election::State::leader:
                group.state = control::GroupState::leader;
                break;
            case election::State::witness:
                group.state = control::GroupState::witness;
                break;
            case election::State::drained:
                group.state = control::GroupState::drained;
                break;
        }
        if (from.leader != election::no_node) group.leader = node_name(config, from.leader);
        group.term = from.term.value;
        group.since = wall(from.since);
        group.reason = from.reason;
        group.needed = static_cast<unsigned>(from.needed);
        if (from.lease) {
            group.lease_ms = to_ms(*from.lease);
            group.votes = static_cast<unsigned>(from.votes);
        }
    }
}

/// A path is called lost after this, and never before a lease has ended.
constexpr Duration path_patience = std::chrono::seconds{1};

void show_nodes(const config::Config& config, const PulseStatus& pulse, control::Status& status) {
    const Duration patience = std::max(path_patience, config.lease());
    for (const election::NodeStatus& from : pulse.election.nodes) {
        control::NodeStatus& node = status.nodes.emplace_back();
        node.name = from.name;
        node.role = from.role == election::NodeRole::witness ? control::NodeRole::witness
                                                             : control::NodeRole::router;
        node.state = !from.heard  ? control::NodeState::never_heard
                     : from.alive ? control::NodeState::alive
                                  : control::NodeState::silent;
        node.demotion = from.demotion;
        if (from.heard) node.last_heard_ms = to_ms(from.silent);
        node.drained = from.drained;
        node.paths = paths_of(from, pulse.arrivals, pulse.now);
        if (auto lost = lost_paths(from, pulse.arrivals, pulse.now, patience)) {
            status.warnings.push_back(std::move(*lost));
        }
        const auto apart =
            clock_warning(from.name, from.beat_ratio.value_or(1.0), config.heartbeat.interval);
        if (apart) status.warnings.push_back(*apart);
        if (from.mismatch && from.told) {
            const auto settings = pulse_config(config, 0, {}).settings;
            node.differs = election::differences(settings, *from.told);
            std::string how;
            for (const std::string& each : node.differs) how += (how.empty() ? "" : "; ") + each;
            status.warnings.push_back({from.name + " has another configuration: " + how,
                                       "give every node the same file, then `hamr reload` on those "
                                       "that have another one"});
        }
    }
    const auto may_lead = [](const control::NodeStatus& node) {
        return node.role == control::NodeRole::router && node.state == control::NodeState::alive &&
               !node.drained;
    };
    if (std::none_of(status.nodes.begin(), status.nodes.end(), may_lead)) {
        status.warnings.push_back({"every router that is alive is drained: none may begin to lead",
                                   "`hamr undrain` on one of them"});
    }
    if (pulse.health.demotion > 0) {
        status.warnings.push_back(
            {"this node is demoted by " + std::to_string(pulse.health.demotion) + ": " +
                 pulse.health.reason,
             "mend the cause; until then a healthier node leads, if there is one"});
    }
}

}  // namespace

void show_pulse(const config::Config& config, const PulseStatus& pulse, control::Status& status) {
    show_groups(config, pulse, status);
    show_nodes(config, pulse, status);
    status.beats = {pulse.gaps.count(), to_ms(pulse.gaps.quantile(0.5)),
                    to_ms(pulse.gaps.quantile(0.99)), to_ms(pulse.gaps.longest()), pulse.moves};
    for (std::size_t reason = 0; reason < pulse.drops.size(); ++reason) {
        const auto name = election::to_string(static_cast<election::DropReason>(reason));
        status.drops[std::string(name)] = pulse.drops[reason];
    }
}

void show_router(const RouterService& router, control::Status& status) {
    const router::Verdict verdict = router.verdict();
    switch (verdict.state) {
        case router::RouterState::off:
            status.router.state = control::RouterState::off;
            break;
        case router::RouterState::failed:
            status.router.state = control::RouterState::failed;
            break;
        case router::RouterState::degraded:
            status.router.state = control::RouterState::degraded;
            break;
        case router::RouterState::serving:
            status.router.state = control::RouterState::serving;
            break;
    }
    status.router.reason = verdict.reason;
    for (const router::Warning& warning : verdict.warnings) {
        status.warnings.push_back({warning.what, warning.remedy});
    }
    for (const router::Warning& warning : router.ruleset_warnings()) {
        status.warnings.push_back({warning.what, warning.remedy});
    }
    for (const router::BackendView& view : router.backends()) {
        control::BackendStatus& backend = status.router.backends.emplace_back();
        backend.address = view.address.to_string();
        backend.role = view.role == router::Role::primary     ? control::BackendRole::primary
                       : view.role == router::Role::secondary ? control::BackendRole::secondary
                                                              : control::BackendRole::unknown;
        backend.state = view.state == router::BackendState::up ? control::BackendState::up
                        : view.state == router::BackendState::down
                            ? control::BackendState::down
                            : control::BackendState::draining;
        backend.draining = view.draining;
        backend.topology = view.topology;
        backend.note = view.error;
    }
}

control::WallTime wall_now() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

control::WallTime wall(BootTime at) {
    return wall_now() + std::chrono::round<std::chrono::milliseconds>(at - BootClock::now());
}

std::string node_name(const config::Config& config, election::NodeId node) {
    for (const config::Node& candidate : config.nodes) {
        if (election::node_id(candidate.name) == node) return candidate.name;
    }
    return "";
}

std::string group_name(const config::Config& config, election::GroupId group) {
    for (const config::Group& candidate : config.groups) {
        if (election::group_id(candidate.name) == group) return candidate.name;
    }
    return "";
}

}  // namespace hamr::daemon
