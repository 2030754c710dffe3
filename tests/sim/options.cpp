// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/options.hpp"

#include <algorithm>
#include <array>

namespace hamr::sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// A voter with another configuration than its peers keeps still for 3 s when it starts: with
/// shorter intervals a change of the configuration would take all of a run.
constexpr Duration shortest_reloaded = milliseconds{100};

Duration up_to(Prng& prng, Duration most) {
    return Duration{prng.between(0, std::max<std::int64_t>(0, most.count()))};
}

election::Timing draw_timing(Prng& prng) {
    static constexpr std::array intervals = {2, 3, 5, 10, 10, 20, 50, 100, 100, 200, 500, 1000};
    static constexpr std::array misses = {2, 3, 3, 3, 4, 5, 10};
    election::Timing timing;
    timing.interval = milliseconds{intervals[prng.below(intervals.size())]};
    timing.misses = misses[prng.below(misses.size())];
    while (timing.lease() > election::longest_lease) --timing.misses;
    return timing;
}

void draw_network(Prng& prng, RunOptions& run) {
    const Duration interval = run.timing.interval;
    run.paths = prng.chance(1, 4) ? 2 : 1;
    run.weather.delay_min = microseconds{prng.between(20, 200)};
    if (run.calm) {
        run.weather.delay_max = run.weather.delay_min + up_to(prng, interval / 20);
        run.weather.reorder = prng.chance(1, 2);
        run.weather.duplicate_permille = prng.chance(1, 2) ? 50 : 0;
        run.wake_latency = up_to(prng, interval / 20);
        return;
    }
    run.weather.delay_max = run.weather.delay_min;
    if (prng.chance(3, 4)) run.weather.delay_max += up_to(prng, interval / 2);
    if (prng.chance(1, 8)) run.weather.delay_max += up_to(prng, run.lease() * 2);
    if (prng.chance(1, 2)) {
        run.weather.loss_permille = static_cast<int>(prng.between(1, prng.chance(1, 4) ? 400 : 60));
    }
    if (prng.chance(1, 2)) run.weather.duplicate_permille = static_cast<int>(prng.between(1, 200));
    run.weather.reorder = prng.chance(1, 2);
    run.wake_latency = prng.chance(1, 2) ? microseconds{50} : up_to(prng, interval / 2);
}

void draw_clocks(Prng& prng, RunOptions& run, const Overrides& overrides) {
    if (run.calm) {
        run.rate_low = 9'600;
        run.rate_high = 10'400;
    }
    if (overrides.rates) {
        run.rate_low = overrides.rates->first;
        run.rate_high = overrides.rates->second;
    }
    const bool extreme = overrides.rates || prng.chance(1, 3);
    for (int n = 0; n < run.nodes; ++n) {
        if (extreme) {
            run.rates.push_back(prng.chance(1, 2) ? run.rate_low : run.rate_high);
        } else {
            run.rates.push_back(static_cast<int>(prng.between(run.rate_low, run.rate_high)));
        }
    }
}

void draw_faults(Prng& prng, RunOptions& run) {
    // Each fault is in two of three runs, with its own weight: runs with few kinds of fault find
    // what a mixture of all of them hides.
    const auto weight = [&prng](int most) {
        return prng.chance(2, 3) ? static_cast<int>(prng.between(1, most)) : 0;
    };
    FaultMix& mix = run.faults;
    mix.pause = weight(6);
    mix.crash = weight(6);
    mix.power_cut = weight(2);
    mix.demote = weight(6);
    mix.drain = weight(3);
    mix.failover = weight(8);
    mix.resign = weight(3);
    mix.replay = weight(4);
    mix.rate = weight(2);
    if (!run.calm) {
        mix.isolate = weight(8);
        mix.one_way = weight(8);
        mix.split = weight(4);
        mix.path_cut = run.paths > 1 ? weight(4) : 0;
        mix.storm = weight(4);
        mix.sluggish = weight(2);
    }
    if (run.mode == election::Mode::majority) mix.amnesia = weight(2);
    const auto list = mix.list();
    if (std::all_of(list.begin(), list.end(),
                    [](const auto& fault) { return fault.second == 0; })) {
        mix.crash = 1;
    }
}

void draw_reloads(Prng& prng, RunOptions& run, const Overrides& overrides) {
    const Duration shortest =
        run.mode == election::Mode::majority ? shortest_reloaded : Duration{milliseconds{20}};
    const bool wanted = prng.chance(1, 2) || overrides.broken == Sabotage::forgotten_voters;
    if (run.timing.interval < shortest || !wanted) return;
    run.reloads = true;
    if (!overrides.nodes && run.nodes > 2 && prng.chance(3, 4)) {
        std::size_t spare = prng.below(static_cast<std::uint64_t>(run.nodes));
        // One router at least remains.
        if (run.nodes - run.witnesses < 2) spare = static_cast<std::size_t>(run.nodes) - 1;
        run.spare = spare;
    }
    if (run.mode == election::Mode::none) return;  // it compares nobody's silence with its own D
    election::Timing other = run.timing;
    if (prng.chance(1, 2)) other.misses = other.misses > 3 ? other.misses - 1 : other.misses + 1;
    if (prng.chance(1, 2)) other.interval = other.interval / 2;
    if (other.lease() <= election::longest_lease) run.other_timing = other;
}

void draw_machines(Prng& prng, RunOptions& run) {
    const auto weight = [&prng](int most) {
        return prng.chance(1, 2) ? static_cast<int>(prng.between(1, most)) : 0;
    };
    MachineOptions& machines = run.machines;
    machines.on = true;
    machines.ipv6 = prng.chance(1, 3);
    machines.by_address = prng.chance(1, 2);
    machines.refresh = run.lease() * prng.between(5, 100);
    machines.check.name = "router";
    machines.check.rise = static_cast<unsigned>(prng.between(1, 2));
    machines.check.fall = static_cast<unsigned>(prng.between(1, 2));
    machines.check.damping = prng.chance(1, 2) ? run.lease() * 20 : Duration{};
    FaultMix& mix = run.faults;
    mix.refuse = weight(3);
    mix.flap = weight(4);
    mix.meddle = weight(3);
    mix.overrun = weight(2);
    if (!run.calm) mix.mute = weight(4);
    mix.amid = prng.chance(1, 2) ? static_cast<int>(prng.between(1, 6)) : 0;
    if (!prng.chance(1, 8)) return;
    run.lasting = prng.chance(1, 2) ? Lasting::refusal : Lasting::no_carrier;
    run.lasting_host = prng.below(static_cast<std::uint64_t>(run.nodes - run.witnesses));
    run.heal_health = true;
}

void draw_wild_clocks(Prng& prng, RunOptions& run, const Overrides& overrides) {
    if (run.calm || overrides.rates || !prng.chance(1, 12)) return;
    run.rate_low = 5'000;
    run.rate_high = 20'000;
    for (int n = 0; n < run.nodes; ++n) {
        run.wild_rates.push_back(static_cast<int>(prng.between(run.rate_low, run.rate_high)));
    }
}

/// Within what is allowed, the faults and clocks with which such a fault shows soonest.
void draw_sabotage(RunOptions& run, Sabotage broken) {
    run.broken = broken;
    run.safety_only = true;
    if (broken == Sabotage::late_lease) run.faults.mute = 8;
    if (broken == Sabotage::forgotten_voters) run.mean_gap = run.lease() * 40;
    if (broken == Sabotage::no_margin) {
        run.timing.misses = promised_misses;
        run.timing.interval = std::min<Duration>(run.timing.interval, milliseconds{500});
        run.faults.isolate = 8;
    }
}

}  // namespace

std::vector<std::pair<const char*, int>> FaultMix::list() const {
    return {{"isolate", isolate},     {"one_way", one_way},
            {"split", split},         {"path_cut", path_cut},
            {"pause", pause},         {"crash", crash},
            {"power_cut", power_cut}, {"demote", demote},
            {"drain", drain},         {"failover", failover},
            {"resign", resign},       {"rate", rate},
            {"storm", storm},         {"replay", replay},
            {"sluggish", sluggish},   {"amnesia", amnesia},
            {"upgrade", upgrade},     {"refuse", refuse},
            {"flap", flap},           {"meddle", meddle},
            {"overrun", overrun},     {"amid", amid}};
}

RunOptions draw_options(std::uint64_t seed, const Overrides& overrides) {
    Prng prng{seed};
    RunOptions run;
    run.seed = seed;
    run.safety_only = overrides.safety_only;
    static constexpr std::array sizes = {2, 3, 3, 3, 4, 5};
    run.nodes = sizes[prng.below(sizes.size())];
    // Of their own numbers, as upgrades below.
    Prng machines{seed ^ 0x3ac41e5ULL};
    if (overrides.machines && machines.chance(1, 5)) {
        run.nodes = static_cast<int>(machines.between(6, 7));
    }
    if (overrides.nodes) run.nodes = *overrides.nodes;
    run.witnesses = prng.chance(1, 3) ? static_cast<int>(prng.between(1, run.nodes - 1)) : 0;
    if (run.nodes > 2 && run.nodes - run.witnesses < 2) run.witnesses = run.nodes - 2;
    run.groups = prng.chance(1, 3) ? 2 : 1;
    run.mode = prng.chance(1, 3) ? election::Mode::none : election::Mode::majority;
    if (overrides.mode) run.mode = *overrides.mode;
    run.calm = run.mode == election::Mode::none && prng.chance(1, 2);
    run.timing = draw_timing(prng);
    const bool leaver = overrides.broken == Sabotage::forgotten_voters;
    if (leaver) run.timing = {shortest_reloaded, 10};
    for (int g = 0; g < run.groups; ++g) {
        run.failback.push_back(prng.chance(1, 4) ? std::optional{up_to(prng, run.lease() * 10)}
                                                 : std::nullopt);
    }
    draw_network(prng, run);
    draw_clocks(prng, run, overrides);
    run.lead_latency = up_to(prng, prng.chance(1, 4) ? run.lease() : run.timing.interval);
    run.wire = prng.chance(1, 4);
    run.health_every = run.timing.interval + up_to(prng, run.lease() * 2);
    draw_faults(prng, run);
    // Bounded work for each seed: about as many frames whatever the size of the cluster.
    const auto intervals =
        std::clamp<std::int64_t>(5'000 / (run.nodes * (run.nodes - 1) * run.paths), 150, 1'500);
    run.phase = run.timing.interval * intervals;
    run.mean_gap = run.lease() * prng.between(1, 10);
    run.heal_health = prng.chance(1, 2);
    run.relive = overrides.relive;
    // Of its own numbers, so that all else of a seed is what it was before there were upgrades.
    Prng upgrades{seed ^ 0x06824deULL};
    if (overrides.upgrades && upgrades.chance(2, 3)) {
        run.faults.upgrade = static_cast<int>(upgrades.between(1, 4));
    }
    if (overrides.machines) {
        draw_machines(machines, run);
        const bool whole = overrides.broken == Sabotage::nothing;
        if (whole) draw_wild_clocks(machines, run, overrides);
        if (whole || overrides.broken == Sabotage::forgotten_voters) {
            draw_reloads(machines, run, overrides);
        }
    }
    if (overrides.broken != Sabotage::nothing) draw_sabotage(run, overrides.broken);
    return run;
}

Weather fair_weather(const RunOptions& options) {
    Weather fair;
    fair.delay_min = std::min(options.weather.delay_min, options.timing.interval / 20);
    fair.delay_max = fair.delay_min + options.timing.interval / 20;
    return fair;
}

std::string describe(const RunOptions& run) {
    const auto us = [](Duration d) {
        return std::to_string(std::chrono::duration_cast<microseconds>(d).count()) + "us";
    };
    std::string text =
        "seed=" + std::to_string(run.seed) + " mode=" + std::string(election::to_string(run.mode)) +
        (run.calm ? " calm" : "") + " nodes=" + std::to_string(run.nodes) +
        " witnesses=" + std::to_string(run.witnesses) + " groups=" + std::to_string(run.groups) +
        " interval=" + us(run.timing.interval) + " misses=" + std::to_string(run.timing.misses) +
        " paths=" + std::to_string(run.paths);
    text += "\n  delay=" + us(run.weather.delay_min) + ".." + us(run.weather.delay_max) +
            " loss=" + std::to_string(run.weather.loss_permille) +
            " duplicates=" + std::to_string(run.weather.duplicate_permille) +
            " reorder=" + std::to_string(run.weather.reorder) +
            " wake_latency=" + us(run.wake_latency) + " lead_latency=" + us(run.lead_latency) +
            " health_every=" + us(run.health_every) + " wire=" + std::to_string(run.wire);
    text += "\n  rates=";
    for (const int rate : run.rates) text += std::to_string(rate) + " ";
    text += "failback=";
    for (const auto& failback : run.failback) text += (failback ? us(*failback) : "no") + " ";
    text += "phase=" + us(run.phase) + " gap=" + us(run.mean_gap) + "\n  faults:";
    for (const auto& [name, weight] : run.faults.list()) {
        if (weight > 0) text += std::string(" ") + name + "=" + std::to_string(weight);
    }
    if (run.broken != Sabotage::nothing) {
        text += "\n  BROKEN: " + std::string(to_string(run.broken));
    }
    if (!run.machines.on) return text;
    text += std::string("\n  machines:") + (run.machines.ipv6 ? " ipv6" : "") +
            (run.machines.by_address ? "" : " interface") + " refresh=" + us(run.machines.refresh) +
            " rise=" + std::to_string(run.machines.check.rise) +
            " fall=" + std::to_string(run.machines.check.fall) +
            " damping=" + us(run.machines.check.damping);
    if (run.lasting != Lasting::nothing) {
        text += std::string(run.lasting == Lasting::refusal ? " refuses=n" : " no_carrier=n") +
                std::to_string(run.lasting_host + 1);
    }
    if (!run.reloads && run.wild_rates.empty()) return text;
    text += "\n ";
    if (run.reloads) text += " reloads";
    if (run.spare) text += " spare=n" + std::to_string(*run.spare + 1);
    if (run.other_timing) {
        text += " other_interval=" + us(run.other_timing->interval) +
                " other_misses=" + std::to_string(run.other_timing->misses);
    }
    if (!run.wild_rates.empty()) text += " wild_rates=";
    for (const int rate : run.wild_rates) text += std::to_string(rate) + " ";
    return text;
}

std::vector<HostOptions> make_hosts(const RunOptions& run, Prng& prng) {
    election::Settings settings;
    settings.cluster = "sim";
    settings.mode = run.mode;
    settings.timing = run.timing;
    for (int n = 0; n < run.nodes; ++n) {
        const bool witness = n >= run.nodes - run.witnesses;
        settings.nodes.push_back({"n" + std::to_string(n + 1), witness
                                                                   ? election::NodeRole::witness
                                                                   : election::NodeRole::router});
    }
    for (int g = 0; g < run.groups; ++g) {
        election::GroupSettings group;
        group.name = "g" + std::to_string(g + 1);
        for (const election::NodeSettings& node : settings.nodes) {
            if (node.role == election::NodeRole::router) group.prefer.push_back(node.name);
        }
        for (std::size_t i = group.prefer.size(); i > 1; --i) {
            std::swap(group.prefer[i - 1], group.prefer[prng.below(i)]);
        }
        group.failback = run.failback[static_cast<std::size_t>(g)];
        settings.groups.push_back(group);
    }
    std::vector<HostOptions> hosts;
    for (int n = 0; n < run.nodes; ++n) {
        HostOptions host;
        host.settings = settings;
        host.settings.self = settings.nodes[static_cast<std::size_t>(n)].name;
        // Freshly booted, or up for days.
        host.boot_clock =
            BootTime{Duration{prng.chance(1, 3) ? prng.between(0, 1'000'000'000)
                                                : prng.between(0, INT64_C(1'000'000'000'000'000))}};
        const auto h = static_cast<std::size_t>(n);
        host.rate = run.wild_rates.empty() ? run.rates[h] : run.wild_rates[h];
        if (run.broken == Sabotage::no_margin) {
            const bool believes = host.settings.self == settings.groups.front().prefer.front();
            host.rate = believes ? run.rate_low : run.rate_high;
            if (believes) host.settings.timing.misses = believed_misses;
        }
        hosts.push_back(std::move(host));
    }
    return hosts;
}

}  // namespace hamr::sim
