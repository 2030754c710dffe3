// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/show.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace hamr::cli {

namespace {

using namespace hamr::control;

std::string fixed(double value, int decimals) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return text.data();
}

std::string count(std::uint64_t number, std::string_view thing) {
    return std::to_string(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

std::string join(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
}

std::string line(std::string_view label, const std::string& text) {
    std::string left = "  " + std::string(label);
    left.resize(12, ' ');
    return left + text + "\n";
}

std::string underscores_to_blanks(std::string_view word) {
    std::string text(word);
    for (char& c : text) {
        if (c == '_') c = ' ';
    }
    return text;
}

const NodeStatus* find_node(const Status& status, std::string_view name) {
    for (const NodeStatus& node : status.nodes) {
        if (node.name == name) return &node;
    }
    return nullptr;
}

bool is_witness(const Status& status) {
    const NodeStatus* self = find_node(status, status.node);
    return self != nullptr && self->role == NodeRole::witness;
}

std::size_t voters_in_reach(const Status& status) {
    return static_cast<std::size_t>(
        std::count_if(status.nodes.begin(), status.nodes.end(),
                      [](const NodeStatus& node) { return node.state == NodeState::alive; }));
}

bool in_minority(const Status& status, const GroupStatus& group) {
    return status.quorum == "majority" && voters_in_reach(status) < group.needed;
}

std::string with_milliseconds(std::string time) {
    if (time.size() == 20) time.insert(19, ".000");
    return time;
}

std::string show_leader(const Status& status, const GroupStatus& group, const Paint& paint) {
    const std::string term = ", term " + std::to_string(group.term);
    if (!group.leader) {
        // On the losing side of a partition another node may well lead.
        const bool unsure = in_minority(status, group);
        return paint(Tone::bad, "NOBODY") + (unsure ? " that this node hears" : "") + term;
    }
    std::string text = paint(Tone::good, printable(*group.leader));
    if (*group.leader == status.node) text += " (this node)";
    text += term;
    const NodeStatus* leader = find_node(status, *group.leader);
    if (leader == nullptr) return text;
    if (leader->state != NodeState::alive) text += ", " + paint(Tone::bad, "silent");
    if (leader->demotion > 0) {
        text += ", " + paint(Tone::warn, "demoted by " + std::to_string(leader->demotion));
    }
    return text;
}

/// Why there is no leader, as far as this node can tell.
std::string why_nobody(const Status& status, const GroupStatus& group) {
    if (group.state == GroupState::starting) {
        return "this agent has just started; it neither votes nor stands for 3 s at most";
    }
    if (in_minority(status, group)) {
        return std::to_string(voters_in_reach(status)) + " of " +
               count(status.nodes.size(), "voter") + " in reach, " + std::to_string(group.needed) +
               " needed: look at the silent nodes";
    }
    return "an election is under way; if this lasts, see `hamr history`";
}

std::string show_lease(const Status& status, const GroupStatus& group, const Paint& paint) {
    std::string text;
    if (group.lease_ms) text = show_ms(*group.lease_ms) + " left";
    if (status.quorum == "none") return text.empty() ? text : text + "; nobody is asked for votes";
    if (!group.votes) return text;
    text += (text.empty() ? "" : ", ") + count(*group.votes, "vote") + ", " +
            std::to_string(group.needed) + " needed";
    if (*group.votes <= group.needed) text += ": " + paint(Tone::warn, "none to spare");
    return text;
}

std::string show_group(const Status& status, const GroupStatus& group, WallTime now,
                       const Paint& paint) {
    std::string text = "\n" + paint(Tone::strong, "group " + printable(group.name)) + "\n";
    text += line("address", paint(Tone::strong, printable(join(group.addresses))));
    text += line("leader", show_leader(status, group, paint));
    const bool plain = group.state == GroupState::leader || group.state == GroupState::follower ||
                       group.state == GroupState::witness;
    text += line("this node", paint(plain ? Tone::plain : Tone::warn, to_string(group.state)));
    if (group.since) {
        std::string since = format_time(*group.since);
        if (now >= *group.since) since += " (" + show_age(now - *group.since) + " ago)";
        text += line("since", since);
    }
    if (!group.leader) {
        text += line("reason", why_nobody(status, group));
    } else if (!group.reason.empty()) {
        text += line("reason", printable(group.reason));
    }
    const std::string lease = show_lease(status, group, paint);
    if (!lease.empty()) text += line("lease", lease);
    return text;
}

std::string show_nodes(const Status& status, const Paint& paint) {
    std::vector<std::vector<Cell>> rows{
        {{"node"}, {"role"}, {"state"}, {"demotion"}, {"last heard"}, {""}}};
    for (const NodeStatus& node : status.nodes) {
        const bool self = node.name == status.node;
        std::string heard = "never";
        if (self) {
            heard = "this node";
        } else if (node.last_heard_ms) {
            heard = show_ms(*node.last_heard_ms) + " ago";
        }
        rows.push_back({{node.name},
                        {std::string(to_string(node.role))},
                        {underscores_to_blanks(to_string(node.state)),
                         node.state == NodeState::alive ? Tone::good : Tone::bad},
                        {node.state == NodeState::never_heard ? "-" : std::to_string(node.demotion),
                         node.demotion == 0 ? Tone::plain : Tone::warn},
                        {heard},
                        {node.drained ? "drained" : "", Tone::warn}});
    }
    return table(rows, paint, "  ");
}

std::string show_router(const RouterStatus& router, const Paint& paint) {
    Tone tone = Tone::warn;
    if (router.state == RouterState::serving) tone = Tone::good;
    if (router.state == RouterState::failed) tone = Tone::bad;
    std::string text = "\n" + paint(Tone::strong, "router " + printable(router.kind)) + "\n";
    text +=
        line("state", paint(tone, to_string(router.state)) + ", " + count(router.flows, "flow"));
    if (!router.reason.empty()) text += line("reason", printable(router.reason));
    if (router.backends.empty()) return text;
    std::vector<std::vector<Cell>> rows{{{"backend"}, {"role"}, {"state"}, {"topology"}, {""}}};
    for (const BackendStatus& backend : router.backends) {
        const Tone state = backend.state == BackendState::up     ? Tone::good
                           : backend.state == BackendState::down ? Tone::bad
                                                                 : Tone::warn;
        rows.push_back({{backend.address},
                        {std::string(to_string(backend.role))},
                        {std::string(to_string(backend.state)), state},
                        {backend.topology.empty() ? "-" : backend.topology},
                        {backend.note, Tone::warn}});
    }
    return text + table(rows, paint, "  ");
}

std::string_view meaning(std::string_view reason) {
    if (reason == "bad_signature") return "signed with a key that is not in this node's key file";
    if (reason == "wrong_cluster") return "of another cluster on the same port";
    if (reason == "unknown_node") return "from a node that is not in this node's configuration";
    if (reason == "replayed") return "heard before: sent again by somebody";
    if (reason == "malformed") return "not understood: of another version, or of something else";
    return {};
}

std::string show_drops(const Status& status, const Paint& paint) {
    std::vector<std::vector<Cell>> rows{{{"dropped frames"}, {"number"}, {""}}};
    for (const auto& [reason, number] : status.drops) {
        if (number == 0) continue;
        rows.push_back({{underscores_to_blanks(reason), Tone::warn},
                        {std::to_string(number)},
                        {std::string(meaning(reason))}});
    }
    return rows.size() == 1 ? std::string() : "\n" + table(rows, paint, "  ");
}

/// What is not as it should be, in a few words each, the worst first.
std::vector<std::string> problems(const Status& status) {
    std::vector<std::string> found;
    const bool several = status.groups.size() > 1;
    for (const GroupStatus& group : status.groups) {
        const std::string of = several ? "group " + group.name + ": " : "";
        if (!group.leader) {
            found.push_back(of + (in_minority(status, group) ? "no leader heard" : "nobody leads"));
            continue;
        }
        const NodeStatus* leader = find_node(status, *group.leader);
        if (leader != nullptr && leader->demotion > 0) {
            found.push_back(of + "leader " + leader->name + " demoted");
        }
    }
    for (const NodeStatus& node : status.nodes) {
        if (node.state != NodeState::alive) {
            found.push_back(node.name + " " + underscores_to_blanks(to_string(node.state)));
        }
    }
    const RouterState router = status.router.state;
    if (router == RouterState::failed || router == RouterState::degraded) {
        found.push_back("router " + std::string(to_string(router)));
    }
    if (!status.warnings.empty()) {
        found.push_back(count(status.warnings.size(), "warning") + " below");
    }
    return found;
}

std::string show_header(const Status& status, const Paint& paint) {
    std::string text = "cluster " + paint(Tone::strong, printable(status.cluster)) +
                       ", seen from " + paint(Tone::strong, printable(status.node)) + ", quorum " +
                       printable(status.quorum);
    const std::vector<std::string> found = problems(status);
    if (found.empty()) return text + ": " + paint(Tone::good, "all is well") + "\n";
    std::string list;
    for (const std::string& each : found) list += (list.empty() ? "" : "; ") + each;
    return text + "\n" + paint(Tone::bad, wrap("not well: " + printable(list), "  ")) + "\n";
}

}  // namespace

std::string show_age(std::chrono::milliseconds age) {
    const auto seconds = age.count() / 1000;
    if (seconds < 60) return std::to_string(seconds) + " s";
    if (seconds < 3600) return std::to_string(seconds / 60) + " min";
    if (seconds < 86400) {
        return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) +
               " min";
    }
    return std::to_string(seconds / 86400) + " d " + std::to_string(seconds % 86400 / 3600) + " h";
}

std::string show_ms(double ms) {
    if (ms < 10) return fixed(ms, 1) + " ms";
    if (ms < 1000) return fixed(ms, 0) + " ms";
    if (ms < 60'000) return fixed(ms / 1000, 1) + " s";
    if (ms > 1e15) return "very long";
    return show_age(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

std::string show_status(const Status& status, WallTime now, const Paint& paint) {
    std::string text = show_header(status, paint);
    for (const GroupStatus& group : status.groups) text += show_group(status, group, now, paint);
    text += "\n" + show_nodes(status, paint);
    if (!is_witness(status)) text += show_router(status.router, paint);
    text += show_drops(status, paint);
    for (const Warning& warning : status.warnings) {
        const std::string what = wrap("WARNING: " + printable(warning.what), "  ");
        text += "\n" + paint(Tone::bad, what.substr(0, 8)) + what.substr(8) + "\n";
        if (!warning.remedy.empty()) {
            text += wrap("  what to do: " + printable(warning.remedy), "    ") + "\n";
        }
    }
    return text;
}

std::string show_history(const std::vector<HistoryEntry>& history, const Paint& paint) {
    if (history.empty()) return "nothing has happened yet\n";
    const bool several = std::any_of(
        history.begin(), history.end(),
        [&](const HistoryEntry& entry) { return entry.group != history.front().group; });
    std::vector<std::vector<Cell>> rows;
    const auto add = [&](std::vector<Cell> row, Cell group) {
        if (several) row.insert(row.begin() + 1, std::move(group));
        rows.push_back(std::move(row));
    };
    add({{"time"}, {"node"}, {"state"}, {"term"}, {"reason"}}, {"group"});
    for (const HistoryEntry& entry : history) {
        std::vector<std::string> stages;
        for (const auto& [stage, ms] : entry.stages_ms) {
            stages.push_back(underscores_to_blanks(stage) + " " + show_ms(ms));
        }
        const bool event = entry.from == entry.to;
        add({{with_milliseconds(format_time(entry.time))},
             {entry.node},
             {event ? entry.to : entry.from + " -> " + entry.to,
              !event && entry.to == "leader" ? Tone::strong : Tone::plain},
             {event && entry.term == 0 ? "-" : std::to_string(entry.term)},
             {entry.reason + (stages.empty() ? "" : " (" + join(stages) + ")")}},
            {entry.group});
    }
    return table(rows, paint, "");
}

std::string show_failover(const FailoverAnswer& answer) {
    if (answer.moves.empty()) return answer.message.empty() ? "" : printable(answer.message) + "\n";
    std::string text;
    for (const Move& move : answer.moves) {
        text += "group " + printable(move.group) + ": ";
        if (move.from == move.to) {
            text += printable(move.to) + " leads already\n";
        } else {
            text += printable(move.to) + " leads (" +
                    (move.from.empty() ? "nobody" : printable(move.from)) +
                    " before), announced after " + show_ms(move.ms) + "\n";
        }
    }
    return text;
}

}  // namespace hamr::cli
