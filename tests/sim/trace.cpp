// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/trace.hpp"

#include <cstdio>

namespace hamr::sim {

namespace {

const char* to_string(election::Claim claim) {
    switch (claim) {
        case election::Claim::none:
            return "none";
        case election::Claim::asking:
            return "asking";
        case election::Claim::candidate:
            return "candidate";
        case election::Claim::leader:
            return "leader";
    }
    return "?";
}

std::string group_name(const World& world, election::GroupId group) {
    return world.group_names()[world.group_index(group)];
}

std::string term(election::Term value) {
    return std::to_string(value.value);
}

}  // namespace

const char* to_string(election::AskResult result) {
    static constexpr const char* names[] = {"accepted",       "already_leader", "unknown_target",
                                            "target_silent",  "target_worse",   "target_starting",
                                            "target_drained", "target_witness", "no_candidate",
                                            "not_leader",     "timed_out"};
    return names[static_cast<std::size_t>(result)];
}

const char* to_string(election::Verdict verdict) {
    static constexpr const char* names[] = {"used", "greeted", "late", "duplicate", "dropped"};
    return names[static_cast<std::size_t>(verdict)];
}

std::string node_name(const World& world, election::NodeId node) {
    for (const Host& host : world.hosts()) {
        if (host.id == node) return host.name;
    }
    return node == election::no_node ? "nobody" : "unknown";
}

std::string describe(const World& world, const Frame& frame) {
    std::string text = "#" + std::to_string(frame.sequence.value);
    if (frame.wants_answer) text += "?";
    if (frame.starting) text += " starting";
    if (frame.drained) text += " drained";
    if (frame.demotion != 0) text += " demotion=" + std::to_string(frame.demotion);
    for (const election::GroupEntry& entry : frame.groups) {
        text += " [" + group_name(world, entry.group) + " " + to_string(entry.claim) + " t" +
                term(entry.term) + " seen " + term(entry.seen);
        if (entry.promised_to != election::no_node) {
            text += " promised " + node_name(world, entry.promised_to) + " t" +
                    term(entry.promised_term);
        }
        if (entry.supports != election::no_node) {
            text += " supports " + node_name(world, entry.supports);
        }
        if (entry.released.value != 0) text += " released " + term(entry.released);
        if (entry.successor != election::no_node) {
            text += " successor " + node_name(world, entry.successor);
        }
        text += "]";
    }
    for (const election::Echo& echo : frame.echoes) {
        text += " " + node_name(world, echo.node) + "=" + std::to_string(echo.newest.value);
    }
    return text;
}

void Trace::line(const World& world, const std::string& who, const std::string& what) {
    char time[32];
    std::snprintf(time, sizeof time, "%10.3f ", to_ms(world.now().time_since_epoch()));
    sink_(time + who + " " + what);
}

void Trace::acted(const World& world, const Host& host, const election::Action& action) {
    if (const auto* change = std::get_if<election::Transition>(&action)) {
        const std::string about =
            change->node == host.id ? "" : node_name(world, change->node) + " ";
        line(world, host.name,
             group_name(world, change->group) + ": " + about + change->from + " -> " + change->to +
                 " t" + term(change->term) + " (" + change->reason + ")");
    } else if (const auto* set = std::get_if<election::SetGate>(&action)) {
        gate(world, host, *set);
    } else if (const auto* lead = std::get_if<election::Lead>(&action)) {
        line(world, host.name, group_name(world, lead->group) + ": leads, t" + term(lead->term));
    } else if (const auto* down = std::get_if<election::StepDown>(&action)) {
        line(world, host.name,
             group_name(world, down->group) + ": steps down, t" + term(down->term) +
                 ", successor " + node_name(world, down->successor));
    } else if (const auto* again = std::get_if<election::AnnounceAgain>(&action)) {
        line(world, host.name,
             group_name(world, again->group) + ": announces again (" + again->reason + ")");
    } else if (const auto* done = std::get_if<election::FailoverDone>(&action)) {
        line(world, host.name,
             "failover: " + std::string(to_string(done->result)) +
                 (done->target != election::no_node ? ", " + node_name(world, done->target) : ""));
    } else if (const auto* send = std::get_if<election::Send>(&action); send && options_.frames) {
        line(world, host.name,
             "-> " + (send->to == election::no_node ? "all" : node_name(world, send->to)) + " " +
                 describe(world, send->frame));
    }
}

void Trace::gate(const World& world, const Host& host, const election::SetGate& gate) {
    const std::size_t groups = host.groups.size();
    open_.resize(world.hosts().size() * groups);
    const std::size_t g = world.group_index(gate.group);
    const std::size_t slot = world.index(host.id) * groups + g;
    const bool open = world.gate_open(host, g);
    if (open == open_[slot]) return;
    open_[slot] = open;
    line(world, host.name, world.group_names()[g] + (open ? ": gate opens" : ": gate shut"));
}

void Trace::gate_ended(const World& world, const Host& host, election::GroupId group) {
    const std::size_t g = world.group_index(group);
    const std::size_t slot = world.index(host.id) * host.groups.size() + g;
    if (slot >= open_.size() || !open_[slot]) return;
    open_[slot] = false;
    line(world, host.name, world.group_names()[g] + ": gate ends by itself");
}

void Trace::reported(const World& world, const Host& host, std::size_t group,
                     const vip::Report& report) {
    line(world, host.name, world.group_names()[group] + ": " + report.text);
}

void Trace::announced(const World& world, const Host& host, std::size_t group) {
    line(world, host.name, world.group_names()[group] + ": its addresses stand");
}

void Trace::received(const World& world, const Host& host, const Frame& frame, int path,
                     election::Received result) {
    if (!options_.frames) return;
    std::string how = to_string(result.verdict);
    if (result.verdict == election::Verdict::dropped) {
        how += " ";
        how += election::to_string(result.reason);
    }
    line(world, host.name,
         "<- " + node_name(world, frame.sender) + " #" + std::to_string(frame.sequence.value) +
             " path " + std::to_string(path) + ": " + how);
}

void Trace::note(const World& world, const std::string& text) {
    if (options_.notes) line(world, "--", text);
}

}  // namespace hamr::sim
