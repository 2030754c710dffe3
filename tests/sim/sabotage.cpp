// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/sabotage.hpp"

#include <algorithm>
#include <utility>

namespace hamr::sim {

namespace {

constexpr std::pair<std::string_view, Sabotage> names[] = {
    {"late-lease", Sabotage::late_lease},       {"eager-voter", Sabotage::eager_voter},
    {"no-margin", Sabotage::no_margin},         {"any-echo", Sabotage::any_echo},
    {"early-release", Sabotage::early_release}, {"forgotten-voters", Sabotage::forgotten_voters},
};

}  // namespace

std::optional<Sabotage> sabotage(std::string_view name) {
    for (const auto& [known, what] : names) {
        if (known == name) return what;
    }
    return std::nullopt;
}

std::string_view to_string(Sabotage sabotage) {
    for (const auto& [name, what] : names) {
        if (what == sabotage) return name;
    }
    return "nothing";
}

void Told::note(const election::Frame& frame) {
    newest = frame.boot == boot ? std::max(newest, frame.sequence) : frame.sequence;
    boot = frame.boot;
    claims.clear();
    for (const election::GroupEntry& entry : frame.groups) {
        if (entry.claim == election::Claim::candidate || entry.claim == election::Claim::leader) {
            claims[entry.group] = entry.term;
        }
    }
}

election::Frame on_its_way(election::Frame frame, Sabotage sabotage) {
    if (sabotage == Sabotage::no_margin) frame.timing.misses = promised_misses;
    return frame;
}

election::Frame as_heard(election::Frame frame, election::NodeId self, const Told& told,
                         Sabotage sabotage) {
    if (sabotage != Sabotage::late_lease && sabotage != Sabotage::any_echo) return frame;
    const auto echo = std::find_if(
        frame.echoes.begin(), frame.echoes.end(),
        [&](const election::Echo& e) { return e.node == self && e.boot == told.boot; });
    if (echo == frame.echoes.end()) return frame;
    if (sabotage == Sabotage::late_lease) {
        echo->newest = told.newest;
        return frame;
    }
    for (election::GroupEntry& entry : frame.groups) {
        const auto claim = told.claims.find(entry.group);
        if (claim == told.claims.end()) continue;
        entry.promised_to = self;
        entry.promised_term = claim->second;
    }
    return frame;
}

}  // namespace hamr::sim
