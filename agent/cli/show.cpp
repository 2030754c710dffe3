// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/show.hpp"

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

std::string show_leader(const Status& status, const GroupStatus& group, const Paint& paint) {
    if (!group.leader) return paint(Tone::bad, "NOBODY") + ", term " + std::to_string(group.term);
    std::string text = paint(Tone::good, printable(*group.leader));
    if (*group.leader == status.node) text += " (this node)";
    return text + ", term " + std::to_string(group.term);
}

std::string show_lease(const GroupStatus& group) {
    std::string text;
    if (group.lease_ms) text = show_ms(*group.lease_ms) + " left";
    if (group.votes) {
        text += (text.empty() ? "" : ", ") + count(*group.votes, "vote") + ", " +
                std::to_string(group.needed) + " needed";
    }
    return text;
}

std::string show_group(const Status& status, const GroupStatus& group, WallTime now,
                       const Paint& paint) {
    std::string text = "\n" + paint(Tone::strong, "group " + printable(group.name)) + "\n";
    text += line("address", paint(Tone::strong, printable(join(group.addresses))));
    text += line("leader", show_leader(status, group, paint));
    const bool plain = group.state == GroupState::leader || group.state == GroupState::follower;
    text += line("this node", paint(plain ? Tone::plain : Tone::warn, to_string(group.state)));
    if (group.since) {
        std::string since = format_time(*group.since);
        if (now >= *group.since) since += " (" + show_age(now - *group.since) + " ago)";
        text += line("since", since);
    }
    if (!group.reason.empty()) text += line("reason", printable(group.reason));
    const std::string lease = show_lease(group);
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
        rows.push_back(
            {{node.name},
             {std::string(to_string(node.role))},
             {underscores_to_blanks(to_string(node.state)),
              node.state == NodeState::alive ? Tone::good : Tone::bad},
             {std::to_string(node.demotion), node.demotion == 0 ? Tone::plain : Tone::warn},
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

std::string show_drops(const Status& status, const Paint& paint) {
    std::vector<std::string> drops;
    for (const auto& [reason, number] : status.drops) {
        if (number != 0) {
            drops.push_back(std::to_string(number) + " " + underscores_to_blanks(reason));
        }
    }
    if (drops.empty()) return {};
    return "\n" + paint(Tone::warn, "dropped frames: " + printable(join(drops))) + "\n";
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
    std::string text = "cluster " + paint(Tone::strong, printable(status.cluster)) +
                       ", seen from " + paint(Tone::strong, printable(status.node)) + ", quorum " +
                       printable(status.quorum) + "\n";
    for (const GroupStatus& group : status.groups) text += show_group(status, group, now, paint);
    text += "\n" + show_nodes(status, paint);
    text += show_router(status.router, paint);
    text += show_drops(status, paint);
    for (const Warning& warning : status.warnings) {
        text += "\n" + paint(Tone::bad, "WARNING: ") + printable(warning.what) + "\n";
        if (!warning.remedy.empty()) text += "  what to do: " + printable(warning.remedy) + "\n";
    }
    return text;
}

std::string show_history(const std::vector<HistoryEntry>& history, const Paint& paint) {
    if (history.empty()) return "nothing has happened yet\n";
    std::vector<std::vector<Cell>> rows{
        {{"time"}, {"group"}, {"node"}, {"state"}, {"term"}, {"reason"}, {"stages"}}};
    for (const HistoryEntry& entry : history) {
        std::vector<std::string> stages;
        for (const auto& [stage, ms] : entry.stages_ms) {
            stages.push_back(underscores_to_blanks(stage) + " " + show_ms(ms));
        }
        rows.push_back({{format_time(entry.time)},
                        {entry.group},
                        {entry.node},
                        {entry.from == entry.to ? entry.to : entry.from + " -> " + entry.to,
                         entry.to == "leader" ? Tone::strong : Tone::plain},
                        {std::to_string(entry.term)},
                        {entry.reason},
                        {join(stages), Tone::dim}});
    }
    return table(rows, paint, "");
}

std::string show_failover(const FailoverAnswer& answer) {
    std::string text;
    if (!answer.message.empty()) text = printable(answer.message) + "\n";
    for (const Move& move : answer.moves) {
        text += "  " + printable(move.group) + ": ";
        if (move.from == move.to) {
            text += printable(move.to) + " leads already\n";
        } else {
            text += printable(move.from.empty() ? "nobody" : move.from) + " -> " +
                    printable(move.to) + " in " + show_ms(move.ms) + "\n";
        }
    }
    return text;
}

}  // namespace hamr::cli
