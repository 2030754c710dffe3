// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/run.hpp"

#include "tests/sim/address_rules.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/invariants.hpp"
#include "tests/sim/reloads.hpp"
#include "tests/sim/trace.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace hamr::sim {

namespace {

constexpr int rest_leases = 50;

WorldOptions world_options(const RunOptions& run) {
    WorldOptions options;
    options.seed = run.seed ^ 0x3051dULL;
    options.paths = run.paths;
    options.weather = run.weather;
    options.wake_latency = run.wake_latency;
    options.lead_latency_min = Duration{0};
    options.lead_latency_max = run.lead_latency;
    options.wire = run.wire;
    options.relive = run.relive;
    options.machines = run.machines;
    options.broken = run.broken;
    return options;
}

InvariantOptions invariant_options(const RunOptions& run) {
    InvariantOptions options;
    options.exclusive = run.exclusive();
    if (run.mode == election::Mode::none) {
        options.collision = std::max(run.weather.delay_max, fair_weather(run).delay_max);
        options.settle = run.slowest_lease() * 3;
    }
    options.only_exclusive = run.broken != Sabotage::nothing;
    return options;
}

/// As its agent says; without a health machine, as was drawn.
std::uint32_t demotion_of(const Host& host) {
    return host.doctor ? host.doctor->demotion() : host.demotion;
}

std::string state_of(const World& world) {
    std::string text;
    for (const Host& host : world.hosts()) {
        if (!host.running()) continue;
        const election::Status status = host.agent->status(host.clock.at(world.now()));
        for (std::size_t g = 0; g < status.groups.size(); ++g) {
            const election::GroupStatus& group = status.groups[g];
            text += "\n  " + host.name + " " + group.name + " " +
                    std::string(election::to_string(group.state)) + " leader " +
                    node_name(world, group.leader) + " term " + std::to_string(group.term.value) +
                    (group.announced ? " announced" : "") +
                    (world.gate_open(host, g) ? " gate open" : "") +
                    (host.drained ? " drained" : "") + " demotion " +
                    std::to_string(demotion_of(host));
            if (!host.keeper) continue;
            text += AddressRules::any_there(world, host, g) ? ", has the address" : "";
            text += host.kernel.carries() ? "" : ", no carrier";
            text += host.refuses_permille == 0 ? "" : ", its kernel refuses";
        }
    }
    return text;
}

/// What the running members say, by host.
using Statuses = std::map<std::size_t, election::Status>;

/// Why the addresses are not where they should be.
std::string unrest_of_addresses(const World& world, const Host& host, std::size_t g, bool leads) {
    if (!host.keeper) return {};
    const bool sick = host.demotion != 0;
    if (host.doctor->check().state() ==
        (sick ? health::CheckState::up : health::CheckState::down)) {
        return "a check that is wrong";
    }
    // Nothing can be put on or taken off there.
    if (host.refuses_permille > 0) return {};
    const bool fits = leads ? AddressRules::all_there(world, host, g) || !host.kernel.up()
                            : !AddressRules::any_there(world, host, g);
    return fits ? "" : "an address that does not fit";
}

/// Why another should lead; empty when nobody should.
std::string unrest_of_leader(const World& world, const Host& host) {
    for (const Host& other : world.hosts()) {
        if (other.role() != election::NodeRole::router || !other.running()) continue;
        const bool makes_room = demotion_of(other) <= demotion_of(host);
        if (host.drained && !other.drained && makes_room) return "a drained leader";
        const bool better = other.drained == host.drained && demotion_of(other) < demotion_of(host);
        if (better && !host.forced) return "a sick leader";
    }
    return {};
}

/// Why the group is not at rest; empty when it is.
std::string unrest(const World& world, const Statuses& all, std::size_t g) {
    std::optional<std::size_t> leader;
    for (const auto& [h, status] : all) {
        const bool leads = status.groups[g].state == election::State::leader;
        if (leads && leader) return "two leaders";
        if (leads) leader = h;
        if (world.gate_open(world.host(h), g) != leads) return "a gate that does not fit";
        std::string why = unrest_of_addresses(world, world.host(h), g, leads);
        if (!why.empty()) return why;
    }
    if (!leader) return "no leader";
    const Host& host = world.host(*leader);
    const election::GroupStatus& truth = all.at(*leader).groups[g];
    // An operator who insists on a host that cannot has his way.
    const bool alone =
        std::none_of(world.hosts().begin(), world.hosts().end(), [&](const Host& other) {
            return &other != &host && other.member && other.role() == election::NodeRole::router;
        });
    const bool in_vain =
        (host.forced || alone) && (host.refuses_permille > 0 || !host.kernel.carries());
    if (!truth.announced && !in_vain) return "not announced";
    for (const auto& [h, status] : all) {
        const election::GroupStatus& group = status.groups[g];
        if (group.leader != host.id) return "no agreement on the leader";
        if (group.term != truth.term) return "no agreement on the term";
    }
    return unrest_of_leader(world, host);
}

std::string unrest(const World& world) {
    Statuses all;
    for (std::size_t h = 0; h < world.hosts().size(); ++h) {
        const Host& host = world.host(h);
        if (!host.member) continue;
        if (!host.running()) return host.name + " does not run";
        all[h] = host.agent->status(host.clock.at(world.now()));
    }
    for (std::size_t g = 0; g < world.group_names().size(); ++g) {
        const std::string why = unrest(world, all, g);
        if (!why.empty()) return world.group_names()[g] + ": " + why;
    }
    return {};
}

/// The change of the configuration that is under way is carried through before anything is asked.
void end_reloads(World& world, const RunOptions& options, Reloads& reloads) {
    reloads.finish();
    const Duration each = (election::longest_lease + options.slowest_lease()) * 2;
    const RealTime deadline = world.now() + each * (options.nodes + 1);
    while (reloads.under_way()) {
        world.run_for(options.lease());
        if (world.now() < deadline) continue;
        throw Violation(Violation::Kind::liveness,
                        "a change of the configuration does not end" + state_of(world));
    }
}

void come_to_rest(World& world, const RunOptions& options, const Coverage& coverage,
                  AddressRules& addresses) {
    const RealTime healed = world.now();
    const RealTime deadline = healed + liveness_bound(options);
    const Duration rest = options.slowest_lease() * rest_leases;
    RealTime calm_since = end_of_time;
    std::string why;
    for (;;) {
        world.run_for(options.slowest_lease());
        addresses.look(world);
        why = unrest(world);
        if (!why.empty() || coverage.last_change() > calm_since) calm_since = end_of_time;
        if (why.empty() && calm_since == end_of_time) calm_since = world.now();
        if (calm_since != end_of_time && world.now() - calm_since >= rest) return;
        if (calm_since > deadline && world.now() > deadline) break;
    }
    if (why.empty()) why = "leadership moves for no reason";
    throw Violation(Violation::Kind::liveness,
                    why + ", " + std::to_string(to_ms(world.now() - healed)) +
                        " ms after everything was healed (bound " +
                        std::to_string(to_ms(liveness_bound(options))) + " ms)" + state_of(world));
}

}  // namespace

Duration liveness_bound(const RunOptions& options) {
    Duration local =
        election::longest_lease * 2 + options.slowest_lease() * 25 + options.health_every * 6;
    if (options.machines.on) {
        // A check that flaps needs up to eight times its rise; an address may be put off by 1 s.
        const auto results = options.machines.check.fall + 8 * options.machines.check.rise;
        local += options.health_every * results + Doctor::grace + std::chrono::seconds{2};
    }
    Duration failback{};
    for (const auto& wait : options.failback)
        failback = std::max(failback, wait.value_or(Duration{}));
    local += failback;
    return local * true_rate / *std::min_element(options.rates.begin(), options.rates.end());
}

Outcome run(const RunOptions& options, const Telling& telling) {
    Prng prng{options.seed ^ 0x40575ULL};
    std::vector<HostOptions> hosts = make_hosts(options, prng);
    Reloads reloads(options, hosts);
    World world(world_options(options), std::move(hosts));
    const auto groups = static_cast<std::size_t>(options.groups);
    Invariants invariants(invariant_options(options), world.hosts().size(), groups);
    Coverage coverage(groups);
    Trace trace({.frames = telling.frames}, telling.line);
    if (telling.line) world.observe(trace);
    world.observe(coverage);
    world.observe(invariants);
    const bool strict = options.exclusive() && options.mode == election::Mode::majority;
    AddressRules addresses(strict, world.hosts().size(), groups);
    if (options.broken == Sabotage::nothing) world.observe(addresses);
    Faults faults(world, options, invariants);

    Outcome outcome;
    try {
        faults.begin();
        reloads.begin(world, world.now() + options.phase);
        const RealTime end = world.now() + options.phase;
        while (world.now() < end) {
            world.run_until(std::min(end, world.now() + options.lease()));
            if (options.broken == Sabotage::nothing) addresses.look(world);
        }
        if (!options.safety_only) {
            faults.heal();
            end_reloads(world, options, reloads);
            come_to_rest(world, options, coverage, addresses);
        }
        invariants.check_answers(world);
    } catch (const Violation& violation) {
        outcome.failed = violation.kind;
        outcome.what = violation.what();
        world.note("VIOLATION " + outcome.what);
    }
    outcome.counts = coverage.counts;
    outcome.counts.runs = 1;
    outcome.counts.reloads = reloads.made();
    outcome.counts.machines = options.machines.on ? 1 : 0;
    outcome.counts.simulated_ms = static_cast<std::uint64_t>(to_ms(world.now().time_since_epoch()));
    outcome.counts.frame_share = invariants.frame_share();
    outcome.digest = coverage.digest();
    return outcome;
}

}  // namespace hamr::sim
