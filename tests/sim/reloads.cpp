// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/reloads.hpp"

#include "election/membership.hpp"

#include <algorithm>
#include <utility>

namespace hamr::sim {

Reloads::Reloads(const RunOptions& options, std::vector<HostOptions>& hosts)
    : options_(options),
      all_(hosts.front().settings),
      members_(hosts.size(), true),
      timing_(options.timing),
      prng_(options.seed ^ 0x4e10adULL) {
    if (!options.reloads) return;
    if (options.spare) members_[*options.spare] = false;
    for (std::size_t h = 0; h < hosts.size(); ++h) {
        if (members_[h]) hosts[h].settings = settings_of(h);
    }
}

election::Settings Reloads::settings_of(std::size_t h) const {
    election::Settings settings = all_;
    settings.self = all_.nodes[h].name;
    settings.timing = timing_;
    settings.nodes.clear();
    for (std::size_t other = 0; other < members_.size(); ++other) {
        if (members_[other]) {
            settings.nodes.push_back(all_.nodes[other]);
            continue;
        }
        for (election::GroupSettings& group : settings.groups) {
            std::erase(group.prefer, all_.nodes[other].name);
        }
    }
    return settings;
}

void Reloads::begin(World& world, RealTime end) {
    world_ = &world;
    end_ = end;
    if (!options_.reloads) return;
    for (std::size_t h = 0; h < members_.size(); ++h) world.member(h, members_[h]);
    next_look();
}

void Reloads::next_look() {
    world_->after(options_.timing.interval * 4, [this] {
        look();
        next_look();
    });
}

void Reloads::look() {
    if (change_) return carry_on();
    if (world_->now() < end_ && prng_.chance(1, 4) && all_report()) choose();
}

bool Reloads::settled(std::size_t h) const {
    const Host& host = world_->host(h);
    if (!host.running() || host.paused || host.resigned) return false;
    for (const election::NodeStatus& node :
         host.agent->status(host.clock.at(world_->now())).nodes) {
        if (node.name == host.name) return !node.starting;
    }
    return false;
}

bool Reloads::all_report() const {
    for (std::size_t h = 0; h < members_.size(); ++h) {
        if (!members_[h]) continue;
        if (!settled(h)) return false;
        const Host& host = world_->host(h);
        const auto status = host.agent->status(host.clock.at(world_->now()));
        const bool heard = std::all_of(
            status.nodes.begin(), status.nodes.end(),
            [](const election::NodeStatus& node) { return node.alive && !node.mismatch; });
        if (!heard) return false;
    }
    return true;
}

void Reloads::choose() {
    std::vector<std::size_t> in;
    std::vector<std::size_t> out;
    std::size_t routers = 0;
    for (std::size_t h = 0; h < members_.size(); ++h) {
        (members_[h] ? in : out).push_back(h);
        if (members_[h] && !options_.witness(h)) ++routers;
    }
    Change change;
    auto kind = prng_.below(3);
    const bool leaver = options_.broken == Sabotage::forgotten_voters;
    if (leaver) kind = in.size() > 2 ? 2 : 1;
    if (kind == 0 && options_.other_timing) {
        timing_ = timing_ == options_.timing ? *options_.other_timing : options_.timing;
    } else if (kind == 1 && !out.empty() && options_.spare) {
        change.added = out[prng_.below(out.size())];
    } else if (kind == 2 && in.size() > 2 && options_.spare) {
        std::size_t h = in[prng_.below(in.size())];
        for (const std::size_t other : in) {
            if (leaver && world_->host(other).groups[0].leading) h = other;
        }
        if (!options_.witness(h) && routers < 2) return;
        change.removed = h;
    } else {
        return;
    }
    world_->note("the configuration changes" +
                 (change.added     ? ": with " + world_->host(*change.added).name
                  : change.removed ? ": without " + world_->host(*change.removed).name
                                   : std::string(": other timers")));
    if (change.added) members_[*change.added] = true;
    if (change.removed) members_[*change.removed] = false;
    for (const std::size_t h : in) {
        if (change.removed != h) change.order.push_back(h);
    }
    for (std::size_t i = change.order.size(); i > 1; --i) {
        std::swap(change.order[i - 1], change.order[prng_.below(i)]);
    }
    change_ = change;
    const bool first = options_.mode == election::Mode::none || (!leaver && prng_.chance(1, 2));
    if (change.removed && first) take_out(*change.removed);
}

void Reloads::take_out(std::size_t h) {
    world_->resign(h);
    world_->crash(h);
    world_->member(h, false);
}

bool Reloads::give_live(std::size_t h) {
    const Host& host = world_->host(h);
    // To overlook a leader takes a new life.
    const bool anew = options_.broken == Sabotage::forgotten_voters;
    if (anew || !host.running() || host.paused || host.resigned || prng_.chance(1, 4)) return false;
    const election::Status status = host.agent->status(host.clock.at(world_->now()));
    const auto refusal = election::judge_step(host.settings, settings_of(h), status, false);
    if (!refusal) {
        ++live_;
        const Duration takes{prng_.between(1'000, options_.lease().count() / 3)};
        world_->reload(h, settings_of(h), takes);
        return true;
    }
    if (change_->patience-- <= 0) return false;
    world_->note(host.name + " refuses: " + refusal->why);
    ++refused_;
    change_->order.insert(change_->order.begin(), h);
    change_->current.reset();
    return true;
}

void Reloads::give(std::size_t h) {
    if (give_live(h)) return;
    if (prng_.chance(1, 2)) world_->resign(h);
    world_->crash(h);
    world_->settings(h, settings_of(h));
    world_->member(h, true);
    const bool quick = options_.broken == Sabotage::forgotten_voters;
    world_->after(Duration{prng_.between(1'000, options_.lease().count() / (quick ? 20 : 2))},
                  [this, h] { world_->start(h); });
}

void Reloads::carry_on() {
    Change& change = *change_;
    if (change.current && !settled(*change.current)) return;
    if (!change.order.empty()) {
        change.current = change.order.back();
        change.order.pop_back();
        return give(*change.current);
    }
    if (change.added) {
        change.current = std::exchange(change.added, std::nullopt);
        return give(*change.current);
    }
    if (change.removed && world_->host(*change.removed).member) take_out(*change.removed);
    change_.reset();
    ++made_;
}

}  // namespace hamr::sim
