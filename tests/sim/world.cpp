// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/world.hpp"

#include "election/wire.hpp"

#include <algorithm>
#include <utility>

namespace hamr::sim {

using election::GroupId;
using election::NodeId;

election::NodeRole Host::role() const {
    for (const election::NodeSettings& node : settings.nodes) {
        if (node.name == settings.self) return node.role;
    }
    return election::NodeRole::router;
}

World::World(WorldOptions options, std::vector<HostOptions> hosts)
    : network(hosts.size(), options.paths), options_(options), prng_(options.seed) {
    network.weather = options.weather;
    for (HostOptions& given : hosts) {
        Host host;
        host.kernel = Kernel(hosts_.size());
        host.name = given.settings.self;
        host.id = election::node_id(host.name);
        host.groups.resize(given.settings.groups.size());
        host.clock = LocalClock{given.boot_clock, given.rate};
        host.settings = std::move(given.settings);
        hosts_.push_back(std::move(host));
    }
    for (const election::GroupSettings& group : hosts_.front().settings.groups) {
        group_names_.push_back(group.name);
        group_ids_.push_back(election::group_id(group.name));
    }
    for (std::size_t h = 0; h < hosts_.size(); ++h) know_peers(h);
}

void World::know_peers(std::size_t h) {
    Host& host = hosts_[h];
    host.peers.assign(hosts_.size(), false);
    for (std::size_t other = 0; other < hosts_.size(); ++other) {
        const auto& nodes = host.settings.nodes;
        host.peers[other] =
            other != h && std::any_of(nodes.begin(), nodes.end(), [&](const auto& node) {
                return node.name == hosts_[other].name;
            });
    }
}

std::size_t World::index(NodeId node) const {
    for (std::size_t h = 0; h < hosts_.size(); ++h) {
        if (hosts_[h].id == node) return h;
    }
    throw Violation(Violation::Kind::harness, "an action names a node that does not exist");
}

std::size_t World::group_index(GroupId group) const {
    for (std::size_t g = 0; g < group_ids_.size(); ++g) {
        if (group_ids_[g] == group) return g;
    }
    throw Violation(Violation::Kind::harness, "an action names a group that does not exist");
}

bool World::gate_open(const Host& host, std::size_t group) const {
    return host.clock.at(now_) < host.groups[group].gate;
}

void World::at(RealTime when, std::function<void()> what) {
    std::size_t slot = whats_.size();
    if (free_slots_.empty()) {
        whats_.push_back(std::move(what));
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
        whats_[slot] = std::move(what);
    }
    events_.push_back({std::max(when, now_), next_order_++, slot});
    std::push_heap(events_.begin(), events_.end(), Later{});
}

void World::run_until(RealTime end) {
    while (!events_.empty() && events_.front().at <= end) {
        std::pop_heap(events_.begin(), events_.end(), Later{});
        const Event event = events_.back();
        events_.pop_back();
        now_ = event.at;
        const std::function<void()> what = std::exchange(whats_[event.slot], nullptr);
        free_slots_.push_back(event.slot);
        what();
    }
    now_ = end;
}

namespace {

std::vector<std::string> voters_of(const election::Settings& settings) {
    std::vector<std::string> voters;
    for (const election::NodeSettings& node : settings.nodes) voters.push_back(node.name);
    return voters;
}

}  // namespace

void World::look_for_voters(std::size_t h) {
    Host& host = hosts_[h];
    if (host.life == 0) host.voters = voters_of(host.settings);
    const bool same = voters_of(host.settings) == host.voters;
    host.settings.same_voters = same || options_.broken == Sabotage::forgotten_voters;
    if (!same) note_voters_later(h);
}

void World::note_voters_later(std::size_t h) {
    Host& host = hosts_[h];
    host.voters.clear();
    const BootTime due = host.clock.at(now_) + election::longest_lease;
    at(host.clock.when(due), [this, h, list = ++host.lists, due] { note_voters(h, list, due); });
}

void World::note_voters(std::size_t h, std::uint64_t list, BootTime due) {
    Host& host = hosts_[h];
    if (host.lists != list) return;
    if (host.running() && !host.paused && host.clock.at(now_) >= due) {
        host.voters = voters_of(host.settings);
        return;
    }
    const RealTime again = std::max(host.clock.when(due), now_ + std::chrono::milliseconds{10});
    at(again, [this, h, list, due] { note_voters(h, list, due); });
}

void World::start(std::size_t h) {
    Host& host = hosts_[h];
    if (host.running() || !host.member) return;
    if (host.upgrading) return upgraded(h, false);
    look_for_voters(h);
    ++host.life;
    host.paused = false;
    host.resigned = false;
    host.wake = end_of_time;
    host.queued.clear();
    for (GroupView& group : host.groups) {
        group.leading = false;
        group.led = {};
        group.announced = false;
    }
    note("start " + host.name);
    const election::BootId boot{prng_.next() | 1};
    BootTime born = host.clock.at(now_);
    if (options_.broken == Sabotage::eager_voter) born -= election::longest_lease;
    host.agent = std::make_unique<Election>(host.settings, boot, born);
    begin_program(h);
    if (host.drained) host.agent->drain(host.clock.at(now_), true);
    carry_out(h);
}

void World::crash(std::size_t h) {
    Host& host = hosts_[h];
    if (!host.running() && !host.upgrading) return;
    note("crash " + host.name);
    ++host.lists;
    host.upgrading.reset();
    host.agent.reset();
    host.keeper.reset();
    host.doctor.reset();
    host.queued.clear();
    host.paused = false;
    for (GroupView& group : host.groups) group.leading = false;
}

void World::power_cut(std::size_t h) {
    crash(h);
    Host& host = hosts_[h];
    note("power cut " + host.name);
    for (GroupView& group : host.groups) group.gate = long_ago;
    host.kernel.power_cut();
    ++host.boots;
    host.clock.restart(now_, BootTime{Duration{prng_.between(1'000'000, 5'000'000'000)}});
}

void World::upgrade(std::size_t h) {
    Host& host = hosts_[h];
    if (!host.running() || host.paused || host.resigned) return;
    note("upgrade " + host.name);
    host.upgrading = host.agent->save();
    host.agent.reset();
    host.keeper.reset();
    host.wake = end_of_time;
}

void World::upgraded(std::size_t h, bool damaged) {
    Host& host = hosts_[h];
    if (!host.upgrading) return;
    std::vector<std::byte> saved = *std::exchange(host.upgrading, std::nullopt);
    if (damaged) saved[prng_.below(saved.size())] ^= std::byte{1};
    const BootTime now = host.clock.at(now_);
    auto restored = Election::restore(host.settings, saved, now);
    if (restored.has_value() == damaged) {
        throw Violation(Violation::Kind::harness,
                        damaged ? "a damaged snapshot is restored" : restored.error().message());
    }
    if (damaged) {
        host.doctor.reset();
        return start(h);
    }
    note("upgraded " + host.name);
    host.agent = std::move(*restored);
    if (options_.machines.on) go_on_with_addresses(h);
    // What the old program was about to hear from its own host, the new one brings about again.
    for (std::size_t g = 0; g < host.groups.size(); ++g) {
        if (options_.machines.on || !host.groups[g].leading || host.groups[g].announced) continue;
        announce_later(h, g);
    }
    host.agent->tick(now);
    carry_out(h);
    enter(h, [drained = host.drained](Election& agent, BootTime at) { agent.drain(at, drained); });
}

void World::reload(std::size_t h, election::Settings settings, Duration takes) {
    upgrade(h);
    Host& host = hosts_[h];
    if (!host.upgrading) return;
    note("reload " + host.name);
    const bool same = voters_of(settings) == voters_of(host.settings);
    host.longest_asked = std::max(host.longest_asked, host.settings.timing.lease());
    this->settings(h, std::move(settings));
    if (!same) note_voters_later(h);
    after(takes, [this, h, life = host.life] {
        if (hosts_[h].life == life) upgraded(h, false);
    });
}

void World::relive(std::size_t h) {
    if (options_.relive == 0 || ++events_until_relived_ < options_.relive) return;
    events_until_relived_ = 0;
    Host& host = hosts_[h];
    auto restored = Election::restore(host.settings, host.agent->save(), host.clock.at(now_));
    if (!restored) throw Violation(Violation::Kind::harness, restored.error().message());
    host.agent = std::move(*restored);
}

void World::pause(std::size_t h) {
    Host& host = hosts_[h];
    if (!host.running() || host.paused) return;
    note("pause " + host.name);
    host.paused = true;
}

void World::resume(std::size_t h, bool frames_first) {
    Host& host = hosts_[h];
    if (!host.paused) return;
    note("resume " + host.name);
    host.paused = false;
    const auto tick_now = [this, h] {
        enter(h, [](Election& agent, BootTime now) { agent.tick(now); });
    };
    if (!frames_first) tick_now();
    std::deque<std::function<void()>> queued;
    queued.swap(host.queued);
    for (const auto& call : queued) call();
    if (frames_first) tick_now();
}

void World::set_rate(std::size_t h, int rate) {
    hosts_[h].clock.set_rate(now_, rate);
    hosts_[h].wake = end_of_time;
    if (hosts_[h].running()) schedule_wake(h);
}

void World::settings(std::size_t h, election::Settings settings) {
    HAMR_ASSERT(!hosts_[h].running());
    hosts_[h].settings = std::move(settings);
    know_peers(h);
}

void World::set_latencies(Duration wake, Duration lead_min, Duration lead_max) {
    options_.wake_latency = wake;
    options_.lead_latency_min = lead_min;
    options_.lead_latency_max = lead_max;
}

void World::enter(std::size_t h, const std::function<void(Election&, BootTime)>& call) {
    Host& host = hosts_[h];
    if (!host.running()) return;
    if (host.paused) {
        const std::uint64_t life = host.life;
        host.queued.push_back([this, h, life, call] {
            if (hosts_[h].life == life) enter(h, call);
        });
        return;
    }
    call(*host.agent, host.clock.at(now_));
    carry_out(h);
}

void World::carry_out(std::size_t h) {
    settle(h);
    relive(h);
    schedule_wake(h);
}

void World::settle(std::size_t h) {
    // What the addresses bring about at once makes the election act again.
    constexpr int most_rounds = 64;
    for (int round = 0; round == 0 || keep_addresses(h); ++round) {
        std::vector<election::Action> taken = hosts_[h].agent->take_actions();
        const std::size_t count = taken.size();
        Actions actions;
        if (count > 0)
            actions = std::make_shared<const std::vector<election::Action>>(std::move(taken));
        for (std::size_t i = 0; i < count; ++i) {
            const election::Action& action = (*actions)[i];
            perform(h, actions, action);
            for (Observer* observer : observers_) observer->acted(*this, hosts_[h], action);
        }
        for (Observer* observer : observers_) observer->settled(*this, hosts_[h], count);
        if (round < most_rounds) continue;
        throw Violation(Violation::Kind::harness, hosts_[h].name + " never settles an event");
    }
}

void World::perform(std::size_t h, const Actions& all, const election::Action& action) {
    if (const auto* frame = std::get_if<election::Send>(&action)) {
        send(h, all, *frame);
    } else if (const auto* gate = std::get_if<election::SetGate>(&action)) {
        set_gate(h, *gate);
    } else if (const auto* leading = std::get_if<election::Lead>(&action)) {
        lead(h, *leading);
    } else if (const auto* down = std::get_if<election::StepDown>(&action)) {
        const std::size_t g = group_index(down->group);
        hosts_[h].groups[g].leading = false;
        if (hosts_[h].keeper) hosts_[h].keeper->release(g);
    } else if (const auto* again = std::get_if<election::AnnounceAgain>(&action)) {
        Host& host = hosts_[h];
        if (host.keeper) host.keeper->announce(group_index(again->group), host.clock.at(now_));
    }
}

void World::send(std::size_t h, const Actions& all, const election::Send& send) {
    Host& host = hosts_[h];
    FramePtr frame(all, &send.frame);  // no copy: it keeps all actions of this event
    if (options_.broken != Sabotage::nothing) {
        frame = std::make_shared<const Frame>(on_its_way(send.frame, options_.broken));
        host.told.note(*frame);
    }
    if (!election::valid(*frame)) {
        throw Violation(Violation::Kind::harness, host.name + " sends an invalid frame");
    }
    FramePtr heard = frame;
    if (options_.wire) {
        const auto decoded = election::decode(election::encode(*frame));
        if (!decoded || *decoded != *frame) {
            throw Violation(Violation::Kind::harness, "a frame does not survive the wire");
        }
        heard = std::make_shared<const Frame>(*decoded);
    }
    for (std::size_t to = 0; to < hosts_.size(); ++to) {
        if (!host.peers[to] || (send.to != election::no_node && send.to != hosts_[to].id)) continue;
        for (int path = 0; path < network.paths(); ++path) {
            for (const RealTime arrival : network.arrivals(now_, h, to, path, prng_)) {
                at(arrival, [this, to, heard, path] { deliver(to, heard, path); });
            }
        }
    }
}

void World::set_gate(std::size_t h, const election::SetGate& gate) {
    const std::size_t g = group_index(gate.group);
    GroupView& view = hosts_[h].groups[g];
    const bool was_open = gate_open(hosts_[h], g);
    if (options_.broken == Sabotage::early_release && was_open && view.leading &&
        gate.until <= hosts_[h].clock.at(now_)) {
        return;  // it is told first, and the gate is shut when its time is over
    }
    view.gate = gate.until;
    view.gate_life = hosts_[h].life;
    if (options_.watch_gates && !was_open && gate_open(hosts_[h], g)) watch_gate(h, g);
}

void World::watch_gate(std::size_t h, std::size_t group) {
    const RealTime end = hosts_[h].clock.when(hosts_[h].groups[group].gate);
    at(end, [this, h, group] {
        if (gate_open(hosts_[h], group)) return watch_gate(h, group);
        const RealTime deadline = hosts_[h].clock.when(hosts_[h].groups[group].gate);
        if (deadline != now_) return;  // shut before its end
        for (Observer* observer : observers_) {
            observer->gate_ended(*this, hosts_[h], group_ids_[group]);
        }
    });
}

void World::lead(std::size_t h, const election::Lead& lead) {
    const std::size_t g = group_index(lead.group);
    hosts_[h].groups[g].leading = true;
    hosts_[h].groups[g].led = lead.term;
    hosts_[h].groups[g].announced = false;
    if (!options_.machines.on) return announce_later(h, g);
    if (hosts_[h].keeper) hosts_[h].keeper->hold(g, hosts_[h].clock.at(now_));
}

void World::announce_later(std::size_t h, std::size_t group) {
    const Duration takes{
        prng_.between(options_.lead_latency_min.count(), options_.lead_latency_max.count())};
    const election::Term term = hosts_[h].groups[group].led;
    after(takes, [this, h, group, life = hosts_[h].life, term] {
        if (hosts_[h].life != life) return;
        enter(h, [this, h, group, term](Election& agent, BootTime now) {
            GroupView& view = hosts_[h].groups[group];
            view.announced = view.announced || view.led == term;
            view.announced_at = now_;
            agent.announced(now, group_ids_[group], term);
        });
    });
}

void World::schedule_wake(std::size_t h) {
    Host& host = hosts_[h];
    const Duration latency{
        options_.wake_latency.count() == 0 ? 0 : prng_.between(0, options_.wake_latency.count())};
    const RealTime due = std::max(host.clock.when(next_wakeup(host)), now_) + latency;
    if (due >= host.wake) return;
    host.wake = due;
    at(due, [this, h, life = host.life, due] { wake(h, life, due); });
}

BootTime World::next_wakeup(const Host& host) const {
    const BootTime next = host.agent->next_wakeup();
    return host.keeper ? std::min(next, host.keeper->next()) : next;
}

void World::wake(std::size_t h, std::uint64_t life, RealTime planned) {
    Host& host = hosts_[h];
    if (!host.running() || host.life != life || host.wake != planned) return;
    host.wake = end_of_time;
    if (host.paused) return;  // resume() ticks
    const BootTime now = host.clock.at(now_);
    if (now < next_wakeup(host)) return schedule_wake(h);
    woken_ = woken_at_ == now_ ? woken_ + 1 : 0;
    woken_at_ = now_;
    if (woken_ > 1000) throw Violation(Violation::Kind::harness, host.name + " spins");
    host.agent->tick(now);
    for (Observer* observer : observers_) observer->ticked(*this, host);
    carry_out(h);
}

void World::deliver(std::size_t h, const FramePtr& frame, int path) {
    Host& host = hosts_[h];
    if (!host.running()) return;
    if (!host.paused) return receive(h, frame, path);
    if (host.queued.size() >= options_.socket_frames) return;
    host.queued.push_back([this, h, life = host.life, frame, path] {
        if (hosts_[h].life == life) deliver(h, frame, path);
    });
}

void World::receive(std::size_t h, const FramePtr& frame, int path) {
    Host& host = hosts_[h];
    const BootTime now = host.clock.at(now_);
    const election::Received result =
        options_.broken == Sabotage::nothing
            ? host.agent->receive(now, *frame, path)
            : host.agent->receive(now, as_heard(*frame, host.id, host.told, options_.broken), path);
    for (Observer* observer : observers_) {
        observer->received(*this, host, *frame, path, result);
    }
    carry_out(h);
}

void World::health(std::size_t h, const election::HealthReport& report) {
    enter(h, [report](Election& agent, BootTime now) { agent.health(now, report); });
}

void World::demote(std::size_t h, std::uint32_t demotion, bool urgent) {
    Host& host = hosts_[h];
    host.demotion = demotion;
    host.urgent = urgent;
    if (demotion != 0) host.weight = demotion;
    note("health " + host.name + " demotion=" + std::to_string(demotion) +
         (urgent ? " urgent" : ""));
}

void World::drain(std::size_t h, bool drained) {
    hosts_[h].drained = drained;
    note(std::string(drained ? "drain " : "undrain ") + hosts_[h].name);
    enter(h, [drained](Election& agent, BootTime now) { agent.drain(now, drained); });
}

void World::resign(std::size_t h) {
    if (!hosts_[h].running() || hosts_[h].resigned) return;
    note("resign " + hosts_[h].name);
    hosts_[h].resigned = true;
    enter(h, [](Election& agent, BootTime now) { agent.resign(now); });
}

std::uint32_t World::failover(std::size_t h, std::size_t group, NodeId target, bool force) {
    Host& host = hosts_[h];
    if (!host.running() || host.paused) return 0;
    for (Host& other : hosts_) {
        if (force && (target == election::no_node || target == other.id)) other.forced = true;
    }
    note("failover asked at " + host.name + (force ? " by force" : ""));
    const std::uint32_t id =
        host.agent->request_failover(host.clock.at(now_), group_ids_[group], target, force);
    carry_out(h);
    return id;
}

void World::note(const std::string& text) const {
    for (Observer* observer : observers_) observer->note(*this, text);
}

}  // namespace hamr::sim
