// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/faults.hpp"

#include <algorithm>
#include <utility>

namespace hamr::sim {

void Recorder::acted(const World&, const Host&, const election::Action& action) {
    const auto* send = std::get_if<election::Send>(&action);
    if (send == nullptr) return;
    ++seen_;
    constexpr std::size_t most = 128;
    if (frames_.size() < most) {
        frames_.push_back(std::make_shared<const Frame>(send->frame));
    } else if (seen_ % 16 == 0) {
        // Old ones are kept for a while and new ones come in: slots in a scattered order.
        frames_[(seen_ / 16 * 37) % most] = std::make_shared<const Frame>(send->frame);
    }
}

Faults::Faults(World& world, const RunOptions& options, Invariants& invariants)
    : world_(world),
      options_(options),
      invariants_(invariants),
      prng_(options.seed ^ 0xfa0175ULL),
      upgrades_(options.seed ^ 0x5afe2ULL) {
    if (options.faults.replay > 0) world_.observe(recorder_);
}

void Faults::begin() {
    end_ = world_.now() + options_.phase;
    for (std::size_t h = 0; h < world_.hosts().size(); ++h) {
        start_later(h, Duration{prng_.between(0, 2 * options_.lease().count())});
        world_.after(Duration{prng_.between(0, options_.health_every.count())},
                     [this, h] { check_health(h); });
    }
    last();
    next();
    if (options_.faults.upgrade > 0) next_upgrade();
}

void Faults::next() {
    const Duration gap{prng_.between(0, 2 * options_.mean_gap.count())};
    if (world_.now() + gap >= end_) return;
    world_.after(gap, [this] {
        inject();
        amid();
        next();
    });
}

void Faults::inject() {
    const FaultMix& mix = options_.faults;
    const std::pair<int, void (Faults::*)()> kinds[] = {
        {mix.isolate, &Faults::isolate},   {mix.one_way, &Faults::one_way},
        {mix.split, &Faults::split},       {mix.path_cut, &Faults::path_cut},
        {mix.pause, &Faults::pause},       {mix.demote, &Faults::demote},
        {mix.drain, &Faults::drain},       {mix.failover, &Faults::failover},
        {mix.resign, &Faults::resign},     {mix.rate, &Faults::rate},
        {mix.storm, &Faults::storm},       {mix.replay, &Faults::replay},
        {mix.sluggish, &Faults::sluggish}, {mix.amnesia, &Faults::amnesia},
        {mix.refuse, &Faults::refuse},     {mix.flap, &Faults::flap},
        {mix.meddle, &Faults::meddle},     {mix.overrun, &Faults::overrun},
        {mix.mute, &Faults::mute},
    };
    int total = mix.crash + mix.power_cut;
    for (const auto& [weight, fault] : kinds) total += weight;
    auto draw = static_cast<int>(prng_.below(static_cast<std::uint64_t>(total)));
    if ((draw -= mix.crash) < 0) return crash(false);
    if ((draw -= mix.power_cut) < 0) return crash(true);
    for (const auto& [weight, fault] : kinds) {
        if ((draw -= weight) < 0) return (this->*fault)();
    }
}

std::size_t Faults::any_host() {
    return prng_.below(world_.hosts().size());
}

Duration Faults::some_time() {
    const Duration lease = options_.lease();
    switch (prng_.below(8)) {
        case 0:
        case 1:
        case 2:
            return Duration{prng_.between(0, lease.count())};
        case 3:
        case 4:
        case 5:
            return Duration{prng_.between(lease.count() / 2, 2 * lease.count())};
        case 6:
            return Duration{prng_.between(lease.count(), 10 * lease.count())};
        default:
            return std::min<Duration>(Duration{prng_.between(0, 4'000'000'000)},
                                      options_.phase / 4);
    }
}

void Faults::later(Duration after, std::function<void()> what) {
    world_.after(after, [this, what = std::move(what)] {
        if (!healed_) what();
    });
}

void Faults::start_later(std::size_t h, Duration after) {
    later(after, [this, h] { world_.start(h); });
}

void Faults::isolate() {
    const std::size_t h = any_host();
    isolate_for(h, some_time());
}

void Faults::isolate_for(std::size_t h, Duration time) {
    const auto set = [this, h](bool cut) {
        world_.note((cut ? "isolate " : "rejoin ") + world_.host(h).name);
        for (std::size_t other = 0; other < world_.hosts().size(); ++other) {
            world_.network.cut(h, other, cut);
            world_.network.cut(other, h, cut);
        }
    };
    set(true);
    later(time, [set] { set(false); });
}

void Faults::one_way() {
    const std::size_t from = any_host();
    const std::size_t to = any_host();
    if (from == to) return;
    const auto set = [this, from, to](bool cut) {
        world_.note((cut ? "cut " : "heal ") + world_.host(from).name + " -> " +
                    world_.host(to).name);
        world_.network.cut(from, to, cut);
    };
    set(true);
    later(some_time(), [set] { set(false); });
}

void Faults::mute() {
    const std::size_t h = any_host();
    const bool speaks = prng_.chance(1, 3);
    const auto set = [this, h, speaks](bool cut) {
        world_.note((cut ? (speaks ? "deafen " : "mute ") : "heal ") + world_.host(h).name);
        for (std::size_t other = 0; other < world_.hosts().size(); ++other) {
            world_.network.cut(speaks ? other : h, speaks ? h : other, cut);
        }
    };
    set(true);
    later(some_time(), [set] { set(false); });
}

void Faults::split() {
    const auto half = prng_.below(std::uint64_t{1} << world_.hosts().size());
    const auto set = [this, half](bool cut) {
        world_.note((cut ? "split " : "unite ") + std::to_string(half));
        for (std::size_t a = 0; a < world_.hosts().size(); ++a) {
            for (std::size_t b = 0; b < world_.hosts().size(); ++b) {
                if (((half >> a) & 1) != ((half >> b) & 1)) world_.network.cut(a, b, cut);
            }
        }
    };
    set(true);
    later(some_time(), [set] { set(false); });
}

void Faults::path_cut() {
    const auto path =
        static_cast<int>(prng_.below(static_cast<std::uint64_t>(world_.network.paths())));
    const auto set = [this, path](bool cut) {
        world_.note((cut ? "cut path " : "heal path ") + std::to_string(path));
        for (std::size_t a = 0; a < world_.hosts().size(); ++a) {
            for (std::size_t b = 0; b < world_.hosts().size(); ++b) {
                world_.network.cut(a, b, cut, path);
            }
        }
    };
    set(true);
    later(some_time(), [set] { set(false); });
}

void Faults::pause() {
    const std::size_t h = any_host();
    world_.pause(h);
    const bool frames_first = prng_.chance(1, 2);
    later(some_time(), [this, h, frames_first] { world_.resume(h, frames_first); });
}

void Faults::crash(bool power) {
    const std::size_t h = any_host();
    if (power) {
        world_.power_cut(h);
    } else {
        world_.crash(h);
    }
    start_later(h, prng_.chance(1, 3) ? Duration{1000} : some_time());
}

void Faults::demote() {
    static constexpr std::uint32_t values[] = {0, 0, 0, 10, 50, 50, 200};
    const std::uint32_t demotion = values[prng_.below(std::size(values))];
    const bool urgent = demotion != 0 && prng_.chance(1, 4);
    if (prng_.chance(1, 4)) {  // the backends' primary is changing: all are equally sick
        for (std::size_t h = 0; h < world_.hosts().size(); ++h) world_.demote(h, demotion, false);
    } else {
        world_.demote(any_host(), demotion, urgent);
    }
}

void Faults::drain() {
    const std::size_t h = any_host();
    world_.drain(h, !world_.host(h).drained);
}

void Faults::failover() {
    const std::size_t h = any_host();
    if (!world_.host(h).running() || world_.host(h).paused) return;
    const std::size_t group = prng_.below(world_.group_names().size());
    const election::NodeId target =
        prng_.chance(1, 3) ? election::no_node : world_.host(any_host()).id;
    const std::uint32_t id = world_.failover(h, group, target, prng_.chance(1, 4));
    invariants_.asked(world_, world_.host(h), id);
}

void Faults::resign() {
    const std::size_t h = any_host();
    if (!world_.host(h).running()) return;
    world_.resign(h);
    const Duration stop{prng_.between(0, options_.lease().count())};
    later(stop, [this, h] {
        if (world_.host(h).resigned) world_.crash(h);
    });
    start_later(h, stop + some_time());
}

void Faults::rate() {
    const std::size_t h = any_host();
    const auto rate = static_cast<int>(prng_.between(options_.rate_low, options_.rate_high));
    world_.note("clock of " + world_.host(h).name + " runs at " + std::to_string(rate));
    world_.set_rate(h, rate);
}

void Faults::storm() {
    Weather storm = options_.weather;
    if (prng_.chance(1, 2)) {
        storm.loss_permille = static_cast<int>(prng_.between(300, 950));
    } else {
        storm.delay_max = storm.delay_min + some_time();
        storm.reorder = prng_.chance(1, 2);
    }
    world_.note("storm");
    world_.network.weather = storm;
    later(some_time(), [this] {
        world_.note("calm after the storm");
        world_.network.weather = options_.weather;
    });
}

void Faults::replay() {
    const auto& frames = recorder_.frames();
    if (frames.empty()) return;
    world_.note("replay");
    const auto count = prng_.between(1, 40);
    const std::size_t h = any_host();
    for (std::int64_t i = 0; i < count; ++i) {
        const FramePtr frame = frames[prng_.below(frames.size())];
        const auto path =
            static_cast<int>(prng_.below(static_cast<std::uint64_t>(world_.network.paths())));
        world_.after(Duration{prng_.between(0, options_.lease().count())},
                     [this, h, frame, path] { world_.deliver(h, frame, path); });
    }
}

void Faults::sluggish() {
    world_.note("sluggish");
    world_.set_latencies(options_.lease(), Duration{0}, options_.lease());
    later(some_time(), [this] {
        world_.set_latencies(options_.wake_latency, Duration{0}, options_.lead_latency);
    });
}

void Faults::amnesia() {
    std::size_t leader = world_.hosts().size();
    for (std::size_t h = 0; h < world_.hosts().size(); ++h) {
        if (world_.gate_open(world_.host(h), 0)) leader = h;
    }
    if (leader == world_.hosts().size()) return;
    // Who still knows of the lease cannot be asked, who can be asked has forgotten it. Or nobody
    // knows of it any more, but the old leader's kernel.
    const bool all = prng_.chance(1, 2);
    if (!all) isolate_for(leader, options_.lease() * 2);
    for (std::size_t h = 0; h < world_.hosts().size(); ++h) {
        if (h == leader && !all) continue;
        world_.crash(h);
        start_later(h, Duration{1000});
    }
}

void Faults::last() {
    const std::size_t h = options_.lasting_host;
    if (options_.lasting == Lasting::refusal) world_.refuse(h, 1000);
    if (options_.lasting == Lasting::no_carrier) world_.link(h, true, false);
}

void Faults::refuse() {
    const std::size_t h = any_host();
    world_.refuse(h, prng_.chance(1, 2) ? 1000 : static_cast<int>(prng_.between(50, 900)));
    later(some_time(), [this, h] {
        world_.refuse(h, 0);
        last();
    });
}

void Faults::flap() {
    const std::size_t h = any_host();
    const Duration time = some_time();
    const bool down = prng_.chance(1, 2);
    world_.link(h, !down, down);
    // Heartbeats may go the same way or another.
    if (!options_.calm && prng_.chance(1, 2)) isolate_for(h, time);
    later(time, [this, h] {
        world_.link(h, true, true);
        last();
    });
}

void Faults::meddle() {
    const std::size_t h = any_host();
    const std::size_t group = prng_.below(world_.group_names().size());
    if (world_.host(h).role() == election::NodeRole::witness) return;
    // Mostly where it hurts.
    const bool add = !world_.host(h).groups[group].leading && prng_.chance(1, 2);
    const auto times = prng_.chance(1, 3) ? prng_.between(2, 12) : 1;
    for (std::int64_t i = 0; i < times; ++i) {
        later(options_.timing.interval * i,
              [this, h, group, add] { world_.meddle(h, group, add); });
    }
}

void Faults::overrun() {
    world_.overrun(any_host(), Duration{prng_.between(0, options_.lease().count())});
}

void Faults::amid() {
    if (options_.faults.amid == 0) return;
    if (!prng_.chance(static_cast<std::uint64_t>(options_.faults.amid), 8)) return;
    const Duration soon{prng_.between(
        0, prng_.chance(1, 2) ? options_.timing.interval.count() : options_.lease().count())};
    later(soon, [this] { failover(); });
}

void Faults::next_upgrade() {
    const Duration gap{upgrades_.between(0, 8 * options_.mean_gap.count())};
    if (world_.now() + gap / options_.faults.upgrade >= end_) return;
    world_.after(gap / options_.faults.upgrade, [this] {
        upgrade();
        next_upgrade();
    });
}

void Faults::upgrade() {
    const std::size_t h = upgrades_.below(world_.hosts().size());
    const Duration lease = options_.lease();
    // Mostly within the lease, as the agent sees to it; but it may be held up at any time.
    const Duration takes{upgrades_.chance(2, 3) ? upgrades_.between(0, lease.count() / 2)
                                                : upgrades_.between(0, 4 * lease.count())};
    const bool damaged = upgrades_.chance(1, 10);
    world_.upgrade(h);
    later(takes, [this, h, damaged] { world_.upgraded(h, damaged); });
}

void Faults::check_health(std::size_t h) {
    const Host& host = world_.host(h);
    if (host.running()) {
        // What the check finds is what holds at its end; it began a little earlier.
        const BootTime begun = host.clock.at(world_.now());
        const Duration takes{prng_.between(0, options_.health_every.count() / 2)};
        world_.after(takes, [this, h, begun, life = host.life] {
            const Host& then = world_.host(h);
            if (then.life != life || !then.running()) return;
            if (options_.machines.on) return world_.probe(h, begun);
            election::HealthReport report;
            report.demotion = then.demotion;
            report.begun_at = begun;
            report.urgent = then.urgent;
            report.reason = then.demotion == 0 ? "" : "drawn";
            world_.health(h, report);
        });
    }
    world_.after(options_.health_every, [this, h] { check_health(h); });
}

void Faults::heal() {
    healed_ = true;
    world_.note("heal");
    world_.network.heal_all();
    world_.network.weather = fair_weather(options_);
    world_.set_latencies(options_.timing.interval / 20, Duration{0}, options_.timing.interval);
    for (std::size_t h = 0; h < world_.hosts().size() && options_.machines.on; ++h) {
        world_.refuse(h, 0);
        world_.link(h, true, true);
        if (!options_.wild_rates.empty()) world_.set_rate(h, options_.rates[h]);
    }
    last();
    bool can_lead = false;
    for (std::size_t h = 0; h < world_.hosts().size(); ++h) {
        const Host& host = world_.host(h);
        can_lead |= host.role() == election::NodeRole::router && !host.drained && host.member;
    }
    for (std::size_t h = 0; h < world_.hosts().size(); ++h) {
        world_.resume(h, prng_.chance(1, 2));
        if (world_.host(h).resigned) world_.crash(h);
        world_.start(h);  // or goes on, when it was just being upgraded
        if (options_.heal_health) world_.demote(h, 0, false);
        // Who can lead may yet be taken out of the cluster.
        const bool stays = can_lead && options_.lasting == Lasting::nothing && !options_.reloads;
        if (!world_.host(h).drained || (stays && prng_.chance(1, 2))) continue;
        // One after the other: in none mode two that may lead all at once both do, for a moment.
        world_.after(options_.lease() * static_cast<int>(h), [this, h] { world_.drain(h, false); });
    }
}

}  // namespace hamr::sim
