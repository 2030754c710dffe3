// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/address_rules.hpp"

#include <algorithm>

namespace hamr::sim {

namespace {

[[noreturn]] void broken(const char* rule, const Host& host, const std::string& what) {
    throw Violation(Violation::Kind::safety, std::string(rule) + ": " + host.name + " " + what);
}

/// Remembers since when something holds, and whether it has held for longer than `most`.
bool too_long(bool holds, RealTime& since, RealTime now, Duration most) {
    if (!holds) {
        since = end_of_time;
        return false;
    }
    since = std::min(since, now);
    return now - since > most;
}

}  // namespace

AddressRules::AddressRules(bool exclusive, std::size_t hosts, std::size_t groups)
    : exclusive_(exclusive), since_(hosts, std::vector<Since>(groups)) {}

bool AddressRules::all_there(const World& world, const Host& host, std::size_t group) {
    const auto addresses = group_addresses(group, world.options().machines.ipv6);
    return std::all_of(addresses.begin(), addresses.end(),
                       [&](const IpPrefix& vip) { return host.kernel.has(vip.address); });
}

bool AddressRules::any_there(const World& world, const Host& host, std::size_t group) {
    const auto addresses = group_addresses(group, world.options().machines.ipv6);
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const IpPrefix& vip) { return host.kernel.has(vip.address); });
}

Duration AddressRules::settling(const World& world) {
    return std::chrono::seconds{3} + world.options().lead_latency_max * 4 +
           world.options().wake_latency * 4;
}

void AddressRules::acted(const World& world, const Host& host, const election::Action& action) {
    const auto wanted_else = [&](election::GroupId group) {
        since_[world.index(host.id)][world.group_index(group)] = {};
    };
    if (const auto* lead = std::get_if<election::Lead>(&action)) wanted_else(lead->group);
    if (const auto* down = std::get_if<election::StepDown>(&action)) wanted_else(down->group);
}

void AddressRules::on_wire(const World& world, const Host& host, std::size_t group) {
    if (host.role() == election::NodeRole::witness)
        broken("A1", host, "is a witness and announces");
    if (!exclusive_) return;
    for (const Host& other : world.hosts()) {
        if (&other == &host || !world.gate_open(other, group)) continue;
        broken("A1", host,
               "announces " + world.group_names()[group] + " while the gate of " + other.name +
                   " is open");
    }
}

void AddressRules::announced(const World& world, const Host& host, std::size_t group) {
    if (!host.groups[group].leading) broken("A2", host, "announced and does not lead");
    if (all_there(world, host, group)) return;
    // Somebody else may have taken it off in this very moment.
    if (world.now() - host.meddled <= settling(world)) return;
    broken("A2", host,
           "says that " + world.group_names()[group] + " stands, and the kernel has it not");
}

void AddressRules::look(const World& world) {
    const Duration most = settling(world);
    for (const Host& host : world.hosts()) {
        const std::size_t h = world.index(host.id);
        const bool at_work = host.keeper && host.running() && !host.paused &&
                             host.refuses_permille == 0 && world.now() - host.meddled > most;
        for (std::size_t g = 0; g < host.groups.size(); ++g) {
            const bool leads = host.groups[g].leading;
            const bool stray = at_work && !leads && any_there(world, host, g);
            const bool missing =
                at_work && leads && host.kernel.carries() && !all_there(world, host, g);
            if (too_long(stray, since_[h][g].stray, world.now(), most)) {
                broken("A3", host, "does not lead " + world.group_names()[g] + " and has it still");
            }
            if (too_long(missing, since_[h][g].missing, world.now(), most)) {
                broken("A4", host, "leads " + world.group_names()[g] + " and has it not");
            }
        }
    }
}

}  // namespace hamr::sim
