// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/run.hpp"

#include "tests/sim/faults.hpp"
#include "tests/sim/invariants.hpp"
#include "tests/sim/trace.hpp"

#include <algorithm>
#include <memory>

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
    return options;
}

InvariantOptions invariant_options(const RunOptions& run) {
    InvariantOptions options;
    options.exclusive = run.exclusive();
    if (run.mode == election::Mode::none) {
        options.collision = std::max(run.weather.delay_max, fair_weather(run).delay_max);
        options.settle = run.lease() * 3;
    }
    return options;
}

std::string state_of(const World& world) {
    std::string text;
    for (const Host& host : world.hosts()) {
        const election::Status status = host.agent->status(host.clock.at(world.now()));
        for (std::size_t g = 0; g < status.groups.size(); ++g) {
            const election::GroupStatus& group = status.groups[g];
            text += "\n  " + host.name + " " + group.name + " " +
                    std::string(election::to_string(group.state)) + " leader " +
                    node_name(world, group.leader) + " term " + std::to_string(group.term.value) +
                    (group.announced ? " announced" : "") +
                    (world.gate_open(host, g) ? " gate open" : "") +
                    (host.drained ? " drained" : "") + " demotion " + std::to_string(host.demotion);
        }
    }
    return text;
}

/// Why the group is not at rest; empty when it is.
std::string unrest(const World& world, const std::vector<election::Status>& all, std::size_t g) {
    std::size_t leader = all.size();
    for (std::size_t h = 0; h < all.size(); ++h) {
        const bool leads = all[h].groups[g].state == election::State::leader;
        if (leads && leader != all.size()) return "two leaders";
        if (leads) leader = h;
        if (world.gate_open(world.host(h), g) != leads) return "a gate that does not fit";
    }
    if (leader == all.size()) return "no leader";
    const election::GroupStatus& truth = all[leader].groups[g];
    if (!truth.announced) return "not announced";
    for (const election::Status& status : all) {
        const election::GroupStatus& group = status.groups[g];
        if (group.leader != world.host(leader).id) return "no agreement on the leader";
        if (group.term != truth.term) return "no agreement on the term";
    }
    const Host& host = world.host(leader);
    for (const Host& other : world.hosts()) {
        if (other.role() != election::NodeRole::router) continue;
        const bool makes_room = other.demotion <= host.demotion;
        if (host.drained && !other.drained && makes_room) return "a drained leader";
        const bool better = other.drained == host.drained && other.demotion < host.demotion;
        if (better && !host.forced) return "a sick leader";
    }
    return {};
}

std::string unrest(const World& world) {
    std::vector<election::Status> all;
    for (const Host& host : world.hosts()) {
        if (!host.running()) return host.name + " does not run";
        all.push_back(host.agent->status(host.clock.at(world.now())));
    }
    for (std::size_t g = 0; g < world.group_names().size(); ++g) {
        const std::string why = unrest(world, all, g);
        if (!why.empty()) return world.group_names()[g] + ": " + why;
    }
    return {};
}

void come_to_rest(World& world, const RunOptions& options, const Coverage& coverage) {
    const RealTime healed = world.now();
    const RealTime deadline = healed + liveness_bound(options);
    const Duration rest = options.lease() * rest_leases;
    RealTime calm_since = end_of_time;
    std::string why;
    for (;;) {
        world.run_for(options.lease());
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
    Duration local = election::longest_lease * 2 + options.lease() * 25 + options.health_every * 6;
    Duration failback{};
    for (const auto& wait : options.failback)
        failback = std::max(failback, wait.value_or(Duration{}));
    local += failback;
    return local * true_rate / *std::min_element(options.rates.begin(), options.rates.end());
}

Outcome run(const RunOptions& options, const Telling& telling) {
    Prng prng{options.seed ^ 0x40575ULL};
    World world(world_options(options), make_hosts(options, prng));
    const auto groups = static_cast<std::size_t>(options.groups);
    Invariants invariants(invariant_options(options), world.hosts().size(), groups);
    Coverage coverage(groups);
    Trace trace({.frames = telling.frames}, telling.line);
    if (telling.line) world.observe(trace);
    world.observe(coverage);
    world.observe(invariants);
    Faults faults(world, options, invariants);

    Outcome outcome;
    try {
        faults.begin();
        world.run_for(options.phase);
        if (!options.safety_only) {
            faults.heal();
            come_to_rest(world, options, coverage);
        }
        invariants.check_answers(world);
    } catch (const Violation& violation) {
        outcome.failed = violation.kind;
        outcome.what = violation.what();
        world.note("VIOLATION " + outcome.what);
    }
    outcome.counts = coverage.counts;
    outcome.counts.runs = 1;
    outcome.counts.simulated_ms = static_cast<std::uint64_t>(to_ms(world.now().time_since_epoch()));
    outcome.counts.frame_share = invariants.frame_share();
    outcome.digest = coverage.digest();
    return outcome;
}

}  // namespace hamr::sim
