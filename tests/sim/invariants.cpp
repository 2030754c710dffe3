// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/invariants.hpp"

#include <algorithm>
#include <string>

namespace hamr::sim {

namespace {

[[noreturn]] void broken(const char* rule, const Host& host, const std::string& what) {
    throw Violation(Violation::Kind::safety, std::string(rule) + ": " + host.name + " " + what);
}

std::string ms(Duration duration) {
    return std::to_string(to_ms(duration)) + " ms";
}

constexpr int frame_window_intervals = 8;

}  // namespace

Invariants::Invariants(InvariantOptions options, std::size_t hosts, std::size_t groups)
    : options_(options),
      groups_(hosts, std::vector<PerGroup>(groups)),
      hosts_(hosts),
      collisions_(groups, end_of_time) {}

void Invariants::acted(const World& world, const Host& host, const election::Action& action) {
    if (options_.only_exclusive) {
        if (const auto* gate = std::get_if<election::SetGate>(&action)) on_gate(world, host, *gate);
        return;
    }
    const bool routine = std::holds_alternative<election::Send>(action) ||
                         std::holds_alternative<election::SetGate>(action);
    if (!routine) ++counters(world, host).changes;
    if (const auto* gate = std::get_if<election::SetGate>(&action)) {
        on_gate(world, host, *gate);
    } else if (const auto* lead = std::get_if<election::Lead>(&action)) {
        on_lead(world, host, *lead);
    } else if (const auto* down = std::get_if<election::StepDown>(&action)) {
        on_step_down(world, host, *down);
    } else if (const auto* send = std::get_if<election::Send>(&action)) {
        on_send(world, host, *send);
    } else if (const auto* done = std::get_if<election::FailoverDone>(&action)) {
        on_done(world, host, *done);
    }
}

void Invariants::on_gate(const World& world, const Host& host, const election::SetGate& gate) {
    const BootTime now = host.clock.at(world.now());
    if (gate.until <= now) return;
    const Duration most =
        election::usable(std::max(host.settings.timing.lease(), host.longest_asked));
    if (gate.until - now > most && !options_.only_exclusive) {
        broken("S5", host, "opens its gate for " + ms(gate.until - now) + ", more than D(1-rho)");
    }
    if (host.role() == election::NodeRole::witness) broken("S4", host, "is a witness with a gate");
    if (!options_.exclusive) return;
    const std::size_t g = world.group_index(gate.group);
    bool alone = true;
    for (const Host& other : world.hosts()) {
        if (&other == &host || !world.gate_open(other, g)) continue;
        alone = false;
        if (tolerated(world, other, g)) continue;
        const RealTime end = other.clock.when(other.groups[g].gate);
        broken("S1", host,
               "opens its gate of " + world.group_names()[g] + " while that of " + other.name +
                   " is open for another " + ms(end - world.now()));
    }
    if (alone) collisions_[g] = end_of_time;
}

bool Invariants::tolerated(const World& world, const Host& other, std::size_t group) {
    if (options_.collision == Duration::zero()) return false;
    RealTime& began = collisions_[group];
    const RealTime led = groups_[world.index(other.id)][group].lead_at;
    if (began == end_of_time && world.now() - led <= options_.collision) began = world.now();
    return began != end_of_time && world.now() - began <= options_.settle;
}

void Invariants::on_lead(const World& world, const Host& host, const election::Lead& lead) {
    if (host.role() == election::NodeRole::witness) broken("S4", host, "is a witness and leads");
    PerGroup& group = groups_[world.index(host.id)][world.group_index(lead.group)];
    if (group.life != host.life) {
        group = PerGroup{};
        group.life = host.life;
    }
    if (lead.term <= group.newest) {
        broken("S3", host,
               "leads in term " + std::to_string(lead.term.value) + " after term " +
                   std::to_string(group.newest.value));
    }
    group.newest = lead.term;
    group.lead_at = world.now();
}

void Invariants::on_step_down(const World& world, const Host& host,
                              const election::StepDown& down) {
    const std::size_t g = world.group_index(down.group);
    if (host.groups[g].gate_life == host.life && world.gate_open(host, g)) {
        broken("S2", host, "steps down with its gate open");
    }
}

void Invariants::on_send(const World& world, const Host& host, const election::Send& send) {
    count_frame(world, host, send);
    for (const election::GroupEntry& entry : send.frame.groups) {
        const bool claims = entry.claim != election::Claim::none;
        if (claims && host.role() == election::NodeRole::witness) {
            broken("S4", host, "is a witness and claims to lead");
        }
        const std::size_t g = world.group_index(entry.group);
        const GroupView& view = host.groups[g];
        if (view.gate_life != host.life || !world.gate_open(host, g)) continue;
        if (entry.claim != election::Claim::leader) {
            broken("S7", host, "tells that it does not lead while its gate is open");
        }
        if (view.led.value != 0 && entry.released >= view.led) {
            broken("S7", host, "releases its lease while its gate is open");
        }
    }
}

Invariants::PerHost& Invariants::counters(const World& world, const Host& host) {
    PerHost& counted = hosts_[world.index(host.id)];
    const Duration length = host.settings.timing.interval * frame_window_intervals;
    const auto window = host.clock.at(world.now()).time_since_epoch() / length;
    if (window != counted.window) {
        // What was heard at the end of one window may be answered in the next.
        counted = {.window = window, .asked = counted.asked / 4, .changes = counted.changes / 4};
    }
    return counted;
}

void Invariants::received(const World& world, const Host& host, const Frame& frame, int,
                          election::Received result) {
    const bool counts =
        result.verdict == election::Verdict::greeted ||
        (result.verdict == election::Verdict::used && (frame.wants_answer || frame.ask));
    if (counts) ++counters(world, host).asked;
}

void Invariants::count_frame(const World& world, const Host& host, const election::Send& send) {
    // Two frames to everybody per interval, an answer to whoever asked, and news at once.
    const auto peers = static_cast<std::int64_t>(world.hosts().size()) - 1;
    PerHost& counted = counters(world, host);
    counted.datagrams += send.to == election::no_node ? peers : 1;
    const std::int64_t allowed =
        peers * (frame_window_intervals * 2 + 2 * counted.changes + 8) + counted.asked;
    frame_share_ = std::max(frame_share_, static_cast<int>(counted.datagrams * 100 / allowed));
    if (counted.datagrams > allowed) {
        broken("S6", host,
               "sends more than " + std::to_string(allowed) + " datagrams within " +
                   std::to_string(frame_window_intervals) + " intervals");
    }
}

void Invariants::settled(const World& world, const Host& host, std::size_t actions) {
    if (options_.only_exclusive) return;
    const std::size_t nodes = world.hosts().size();
    const std::size_t allowed = 4 * nodes + 8 * host.groups.size() + 8;
    if (actions > allowed) {
        broken("S6", host, "makes " + std::to_string(actions) + " actions of one event");
    }
    for (std::size_t g = 0; g < host.groups.size(); ++g) {
        const GroupView& view = host.groups[g];
        if (!view.leading && view.gate_life == host.life && world.gate_open(host, g)) {
            broken("S2", host, "has its gate open and does not lead");
        }
    }
}

void Invariants::ticked(const World& world, const Host& host) {
    if (options_.only_exclusive) return;
    if (host.agent->next_wakeup() <= host.clock.at(world.now())) {
        broken("S6", host, "wants to be woken at once after a tick");
    }
}

void Invariants::asked(const World& world, const Host& host, std::uint32_t id) {
    questions_.push_back({world.index(host.id), host.life, id, world.now()});
}

void Invariants::on_done(const World& world, const Host& host, const election::FailoverDone& done) {
    if (!answered_.emplace(world.index(host.id), host.life, done.id).second) {
        broken("S8", host, "answers a failover request twice");
    }
    // Two leaders at once (none mode, partitions) can make a stale frame look like the successor's.
    if (done.result != election::AskResult::accepted || !options_.exclusive) return;
    const auto question =
        std::find_if(questions_.begin(), questions_.end(), [&](const Question& q) {
            return q.host == world.index(host.id) && q.life == host.life && q.id == done.id;
        });
    if (question == questions_.end()) return;
    const Host& target = world.host(world.index(done.target));
    const bool led =
        std::any_of(target.groups.begin(), target.groups.end(),
                    [&](const GroupView& group) { return group.announced_at >= question->at; });
    if (!led) broken("S8", host, "says that " + target.name + " has announced, and it has not");
}

void Invariants::check_answers(const World& world) const {
    if (options_.only_exclusive) return;
    for (const Question& question : questions_) {
        const Host& host = world.host(question.host);
        if (host.life != question.life || !host.running() || host.paused) continue;
        if (world.now() - question.at < std::chrono::seconds{4}) continue;
        if (!answered_.contains({question.host, question.life, question.id})) {
            broken("S8", host, "has never answered a failover request");
        }
    }
}

}  // namespace hamr::sim
