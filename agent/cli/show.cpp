// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/show.hpp"

#include "agent/cli/show_router.hpp"
#include "agent/cli/troubles.hpp"
#include "agent/cli/words.hpp"

#include <algorithm>
#include <string_view>

namespace hamr::cli {

namespace {

using namespace hamr::control;

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
    if (group.since) text += line("since", show_since(*group.since, now));
    if (!group.leader) {
        text += line("reason", why_nobody(status, group).what);
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

/// First what is wrong, then what somebody wanted: nodes that are drained.
std::string show_header(const Status& status, const Paint& paint) {
    std::string text = "cluster " + paint(Tone::strong, printable(status.cluster)) +
                       ", seen from " + paint(Tone::strong, printable(status.node)) + ", quorum " +
                       printable(status.quorum) + ": ";
    const std::vector<Trouble> found = troubles(status);
    text += found.empty() ? paint(Tone::good, "all is well") : paint(Tone::bad, "not well");
    text += "\n";
    for (const Trouble& trouble : found) {
        text += paint(trouble.tone, wrap("- " + printable(trouble.what), "  ")) + "\n";
        if (trouble.remedy.empty()) continue;
        text += wrap("  what to do: " + printable(trouble.remedy), "    ") + "\n";
    }
    for (const std::string& each : drains(status)) {
        text += paint(Tone::warn, wrap("- " + printable(each), "  ")) + "\n";
    }
    return text;
}

}  // namespace

std::string show_status(const Status& status, WallTime now, const Paint& paint) {
    std::string text = show_header(status, paint);
    for (const GroupStatus& group : status.groups) text += show_group(status, group, now, paint);
    text += "\n" + show_nodes(status, paint);
    if (!is_witness(status)) {
        text += show_router(status.router, status.flows, now, paint);
        text += show_checks(status.checks, now, paint);
    }
    text += show_drops(status, paint);
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
