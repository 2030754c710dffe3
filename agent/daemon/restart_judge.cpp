// SPDX-License-Identifier: GPL-2.0-or-later
// What a restart or a reload would change, and what speaks against it.
#include "agent/daemon/changes.hpp"
#include "agent/daemon/restart.hpp"
#include "agent/daemon/translate.hpp"
#include "election/membership.hpp"
#include "election/snapshot.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace hamr::daemon {

namespace {

constexpr const char* nothing_moved = "nothing has changed here; mend it and reload again";

std::vector<std::string> all_addresses(const config::Config& config) {
    std::vector<std::string> list;
    for (const config::Group& group : config.groups) {
        for (const IpPrefix& prefix : group.addresses) list.push_back(prefix.to_string());
        list.emplace_back();
    }
    return list;
}

bool has_group(const config::Config& config, const std::string& name) {
    return std::any_of(config.groups.begin(), config.groups.end(),
                       [&](const config::Group& group) { return group.name == name; });
}

}  // namespace

election::Settings settings_of(const Inputs& inputs) {
    return pulse_config(inputs.config, inputs.self, inputs.keys).settings;
}

std::string restart_difference(const Inputs& now, const Inputs& next) {
    std::string other = election::difference(settings_of(now), settings_of(next));
    if (!other.empty()) return other;
    if (all_addresses(now.config) != all_addresses(next.config)) {
        return "the addresses of a group are others now";
    }
    if (now.config.router.kind_name() != next.config.router.kind_name()) {
        return "the router is of another kind now";
    }
    return {};
}

Result<Inputs> Restarter::read(control::Answer& refusal) const {
    refusal.outcome = control::Outcome::bad_file;
    refusal.remedy = nothing_moved;
    try {
        const config::Config config = config::load(command_.options.config).config;
        if (config.cluster == inputs_.config.cluster &&
            config.find_node(inputs_.node().name) == nullptr) {
            refusal = {control::Outcome::refused,
                       "this node, " + inputs_.node().name + ", is not in the file",
                       "stop its agent: systemctl stop hamrd (it hands over first)"};
            return fail(refusal.message);
        }
        auto next = read_inputs(command_.options);
        if (!next) refusal.message = next.error().message();
        return next;
    } catch (const std::exception& error) {
        refusal.message = error.what();
        return fail(error.what());
    }
}

Restarter::Step Restarter::step_to(Inputs next, bool force) const {
    Step step;
    step.words = changes(inputs_, next);
    step.force = force;
    const election::Membership before = membership(settings_of(inputs_));
    const election::Membership after = membership(settings_of(next));
    step.other_mode = before.mode != after.mode;
    step.other_voters = before.voters != after.voters;
    step.other_addresses = all_addresses(inputs_.config) != all_addresses(next.config);
    for (const config::Group& group : inputs_.config.groups) {
        if (!has_group(next.config, group.name)) step.gone.push_back(group.name);
    }
    step.next = std::move(next);
    return step;
}

std::optional<control::Answer> Restarter::judge(const Step& step) const {
    const auto refused = [](std::string why, std::string remedy) {
        return control::Answer{control::Outcome::refused, std::move(why), std::move(remedy)};
    };
    const auto status = hands_.election();
    if (!status) {
        return refused("the heartbeat loop of this agent has not answered for 1 s",
                       "the machine is overloaded or the agent hangs: systemctl restart hamrd");
    }
    const auto refusal =
        election::judge_step(settings_of(inputs_), settings_of(step.next), *status, step.force);
    if (refusal) return refused(refusal->why, refusal->remedy);
    const auto kind = step.next.config.router.kind_name();
    if (kind != inputs_.config.router.kind_name()) {
        return refused("the router is of another kind: " + std::string(kind) + ", not " +
                           std::string(inputs_.config.router.kind_name()),
                       "that needs a new start on every host, the leader last: systemctl restart "
                       "hamrd (it hands over first)");
    }
    return std::nullopt;
}

}  // namespace hamr::daemon
