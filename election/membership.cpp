// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/membership.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

namespace hamr::election {

namespace {

bool names(const Settings& settings, NodeId node) {
    return std::any_of(settings.nodes.begin(), settings.nodes.end(),
                       [&](const NodeSettings& each) { return node_id(each.name) == node; });
}

std::string text(Duration time) {
    using Milliseconds = std::chrono::duration<double, std::milli>;
    std::array<char, 32> buffer{};
    const int length =
        std::snprintf(buffer.data(), buffer.size(), "%g ms", Milliseconds(time).count());
    return {buffer.data(), static_cast<std::size_t>(length)};
}

std::string listed(const std::vector<std::string>& words, const char* between = ", ") {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

/// The names in `some` that `other` lacks.
std::vector<std::string> without(const Settings& some, const Settings& other) {
    std::vector<std::string> list;
    for (const NodeSettings& node : some.nodes) {
        if (!names(other, node_id(node.name))) list.push_back(node.name);
    }
    return list;
}

Refusal never(std::string why, std::string remedy) {
    return {std::move(why), std::move(remedy), true};
}

/// What no force makes right.
std::optional<Refusal> judge_lists(const Settings& now, const Settings& next) {
    if (now.cluster != next.cluster) {
        return never("the file is of another cluster: " + next.cluster + ", not " + now.cluster,
                     "a node changes its cluster by a new start: systemctl restart hamrd");
    }
    if (!names(next, node_id(now.self))) {
        return never("this node, " + now.self + ", is not in the file",
                     "stop its agent: systemctl stop hamrd (it hands over first)");
    }
    if (now.self != next.self) {
        return never(
            "this host is " + next.self + " in the file, and its agent runs as " + now.self,
            "correct the addresses or names of the nodes, or start anew: systemctl "
            "restart hamrd");
    }
    const auto joining = without(next, now);
    const auto leaving = without(now, next);
    if (joining.size() + leaving.size() <= 1) return std::nullopt;
    std::vector<std::string> words;
    for (const std::string& name : joining) words.push_back(name + " joins");
    for (const std::string& name : leaving) words.push_back(name + " leaves");
    return never(
        "more than one node changes at once: " + listed(words),
        "one node more or less at a time: reload that on every host, then change the next");
}

/// M18: a further step waits until every voter of the present list has taken the last one.
std::optional<Refusal> judge_reports(const Settings& now, const Settings& next,
                                     const Status& status) {
    const Membership present = membership(now);
    const Membership wanted = membership(next);
    for (const NodeStatus& node : status.nodes) {
        if (node.name == now.self) continue;
        const std::string gone = "; if " + node.name +
                                 " is gone for good: hamr reload --force (should it run after "
                                 "all, with another list of nodes, two leaders are possible)";
        if (!node.told) {
            return Refusal{node.name +
                               " has not been heard since this agent began, so nobody here "
                               "knows which nodes it counts with",
                           "start it, with the file that this node has now" + gone};
        }
        if (*node.told == present || *node.told == wanted) continue;
        const std::string what = listed(differences(now, *node.told), "; ");
        if (node.alive) {
            return Refusal{"the last change has not reached " + node.name + " (" + what + ")",
                           "`hamr reload` there first"};
        }
        return Refusal{
            node.name + ", now silent, had not taken over the last change (" + what + ")",
            "start it again with the file that this node has now" + gone};
    }
    return std::nullopt;
}

std::optional<Refusal> judge_leader(const Settings& next, const Status& status) {
    for (const GroupStatus& group : status.groups) {
        if (group.leader == no_node || names(next, group.leader)) continue;
        const auto leader = std::find_if(
            status.nodes.begin(), status.nodes.end(),
            [&](const NodeStatus& node) { return node_id(node.name) == group.leader; });
        if (leader == status.nodes.end()) continue;
        return Refusal{leader->name + ", which leaves, leads " + group.name,
                       "`hamr drain` there first (or `hamr failover`); --force lets its lease end, "
                       "and nobody leads until then"};
    }
    return std::nullopt;
}

/// With the new list a leader needs a majority of it, and a node that joins has not been heard.
std::optional<Refusal> judge_majority(const Settings& now, const Settings& next,
                                      const Status& status) {
    if (next.mode != Mode::majority) return std::nullopt;
    const Membership present = membership(now);
    const Membership wanted = membership(next);
    const std::size_t needed = next.nodes.size() / 2 + 1;
    std::vector<std::string> alive;
    for (const NodeStatus& node : status.nodes) {
        const bool own = node.name == now.self;
        const bool counts =
            own || (node.alive && node.told && (*node.told == present || *node.told == wanted));
        if (counts && names(next, node_id(node.name))) alive.push_back(node.name);
    }
    if (alive.size() >= needed) return std::nullopt;
    return Refusal{"of the " + std::to_string(next.nodes.size()) + " nodes in the file " +
                       std::to_string(needed) +
                       " are needed to lead, and of those that this node "
                       "knows only " +
                       listed(alive) + (alive.size() == 1 ? " is" : " are") + " alive",
                   "bring the others back first; --force takes the step all the same, and nobody "
                   "leads until enough of them are there"};
}

}  // namespace

Membership membership(const Settings& settings) {
    Membership membership;
    for (const NodeSettings& node : settings.nodes) membership.voters.push_back(node_id(node.name));
    std::sort(membership.voters.begin(), membership.voters.end());
    membership.mode = settings.mode;
    membership.timing = settings.timing;
    return membership;
}

std::size_t steps(const std::vector<NodeId>& one, const std::vector<NodeId>& other) {
    std::vector<NodeId> difference;
    std::set_symmetric_difference(one.begin(), one.end(), other.begin(), other.end(),
                                  std::back_inserter(difference));
    return difference.size();
}

std::optional<Refusal> judge_step(const Settings& now, const Settings& next, const Status& status,
                                  bool force) {
    if (auto refusal = judge_lists(now, next)) return refusal;
    if (force || membership(now) == membership(next)) return std::nullopt;
    if (auto refusal = judge_reports(now, next, status)) return refusal;
    if (auto refusal = judge_leader(next, status)) return refusal;
    return judge_majority(now, next, status);
}

std::vector<std::string> differences(const Settings& settings, const Membership& told) {
    const Membership mine = membership(settings);
    std::vector<std::string> words;
    for (const NodeSettings& node : settings.nodes) {
        if (std::binary_search(told.voters.begin(), told.voters.end(), node_id(node.name))) {
            continue;
        }
        words.push_back("it does not know " + node.name);
    }
    std::size_t unknown = 0;
    for (const NodeId node : told.voters) {
        if (!std::binary_search(mine.voters.begin(), mine.voters.end(), node)) ++unknown;
    }
    if (unknown > 0) {
        words.push_back("it counts " + std::to_string(unknown) +
                        (unknown == 1 ? " node" : " nodes") + " that this one does not know");
    }
    if (told.mode != mine.mode) {
        words.push_back("quorum " + std::string(to_string(told.mode)) + ", here " +
                        std::string(to_string(mine.mode)));
    }
    if (told.timing.interval != mine.timing.interval) {
        words.push_back("interval " + text(told.timing.interval) + ", here " +
                        text(mine.timing.interval));
    }
    if (told.timing.misses != mine.timing.misses) {
        words.push_back("misses " + std::to_string(told.timing.misses) + ", here " +
                        std::to_string(mine.timing.misses));
    }
    return words;
}

}  // namespace hamr::election
