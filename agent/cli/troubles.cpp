// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/troubles.hpp"

#include "agent/cli/words.hpp"

#include <algorithm>

namespace hamr::cli {

using namespace hamr::control;

namespace {

/// A check may say a lot; the table below and --json have all of it.
constexpr std::size_t longest_output = 160;

void add_leaders(const Status& status, std::vector<Trouble>& found) {
    for (const GroupStatus& group : status.groups) {
        const std::string of = status.groups.size() > 1 ? "group " + group.name + ": " : "";
        if (!group.leader) {
            Trouble trouble = why_nobody(status, group);
            trouble.what = of +
                           (in_minority(status, group) ? "no leader heard: " : "nobody leads: ") +
                           trouble.what;
            found.push_back(std::move(trouble));
            continue;
        }
        const NodeStatus* leader = find_node(status, *group.leader);
        if (leader == nullptr || leader->demotion == 0) continue;
        const bool here = leader->name == status.node;
        const std::string demoted =
            of + "leader " + leader->name + " demoted by " + std::to_string(leader->demotion);
        found.push_back({demoted,
                         here ? "mend what follows; a healthier node takes over, if there is one"
                              : "`hamr status` on " + leader->name,
                         Tone::bad});
    }
}

/// What the process adds to the router's reason, which mostly tells of its exit already.
std::string process_words(const RouterStatus& router) {
    const ProcessStatus& process = *router.process;
    const bool told = router.reason.find(process.last_exit) != std::string::npos;
    std::string text = told ? "" : process.last_exit;
    if (process.next_start_ms) {
        text += (text.empty() ? "" : "; ") + ("next start in " + show_ms(*process.next_start_ms));
    }
    return text;
}

void add_router(const RouterStatus& router, std::vector<Trouble>& found) {
    const bool bad = router.state == RouterState::failed || router.state == RouterState::degraded;
    const bool fails =
        router.process && (router.process->state == "waiting" || router.process->state == "failed");
    if (!bad && !fails) return;
    std::string what = "router " + router.kind + " " +
                       (bad ? std::string(to_string(router.state)) : router.process->state);
    if (!router.reason.empty()) what += ": " + router.reason;
    std::string remedy = "look at the backends below";
    if (router.process) {
        const std::string words = process_words(router);
        if (!words.empty()) {
            what += (router.reason.empty() ? ": " : "; ") + words;
        }
        const std::string log = router.process->unit.empty() ? "hamrd" : router.process->unit;
        remedy = "see what it says, with `journalctl -u " + log +
                 "`; mend that, and `hamr reload` " + "starts it at once";
        if (!fails) remedy = "see the checks below, and `journalctl -u " + log + "`";
    }
    const bool failed = router.state == RouterState::failed || fails;
    found.push_back({what, remedy, failed ? Tone::bad : Tone::warn});
}

void add_checks(const Status& status, std::vector<Trouble>& found) {
    for (const CheckStatus& check : status.checks) {
        if (check.state != CheckState::down) continue;
        std::string what = "check " + check.name + " down";
        if (check.fatal) {
            what += " (fatal)";
        } else if (check.weight == 0) {
            what += " (only shown: its weight is 0)";
        }
        if (!check.output.empty()) what += ": " + cut(check.output, longest_output);
        std::string remedy = "see what answers there";
        if (check.kind == "mysql") {
            remedy = "log in there yourself; a router that answers may have no backend";
        } else if (check.kind == "process") {
            remedy = "is it meant to run? See `journalctl -u hamrd`";
        } else if (check.kind == "command") {
            remedy = "run that command yourself";
        }
        found.push_back({what, remedy, check.fatal ? Tone::bad : Tone::warn});
    }
}

void add_nodes(const Status& status, std::vector<Trouble>& found) {
    for (const NodeStatus& node : status.nodes) {
        if (node.state == NodeState::alive) continue;
        std::string what = node.name + " " + underscores_to_blanks(to_string(node.state));
        if (node.last_heard_ms) what += " for " + show_ms(*node.last_heard_ms);
        found.push_back({what,
                         "`systemctl status hamrd` on " + node.name +
                             "; if it runs, look at the network between",
                         Tone::bad});
    }
}

/// Whether a trouble says `text` already, or names the check that it is about.
bool is_told(const std::vector<Trouble>& found, std::string_view text) {
    return std::any_of(found.begin(), found.end(), [&](const Trouble& trouble) {
        const std::size_t colon = text.find(": ");
        const bool check = text.starts_with("check ") && colon != std::string_view::npos &&
                           trouble.what.starts_with(std::string(text.substr(0, colon)) + " down");
        return check || trouble.what.find(text) != std::string::npos;
    });
}

/// The agent's own warning about this node's demotion gives all reasons, joined by "; ": only those
/// are kept that nothing above has told.
std::string without_told(const std::vector<Trouble>& found, std::string_view reasons) {
    std::string kept;
    while (!reasons.empty()) {
        const std::size_t end = std::min(reasons.find("; "), reasons.size());
        const std::string_view reason = reasons.substr(0, end);
        if (!is_told(found, reason)) kept += (kept.empty() ? "" : "; ") + std::string(reason);
        reasons.remove_prefix(std::min(end + 2, reasons.size()));
    }
    return kept;
}

void add_warnings(const Status& status, std::vector<Trouble>& found) {
    for (const Warning& warning : status.warnings) {
        if (is_told(found, warning.what)) continue;
        std::string what = warning.what;
        const std::size_t colon = what.find(": ");
        if (what.starts_with("this node is demoted by ") && colon != std::string::npos) {
            const std::string kept = without_told(found, std::string_view(what).substr(colon + 2));
            what.resize(colon);
            if (!kept.empty()) what += ": " + kept;
            const bool leads =
                std::any_of(status.groups.begin(), status.groups.end(),
                            [&](const GroupStatus& group) { return group.leader == status.node; });
            if (kept.empty() && leads) continue;  // said of the leader
        }
        found.push_back({what, warning.remedy, Tone::warn});
    }
}

}  // namespace

Trouble why_nobody(const Status& status, const GroupStatus& group) {
    if (group.state == GroupState::starting) {
        return {"this agent has just started; it neither votes nor stands for 3 s at most", "wait",
                Tone::warn};
    }
    if (in_minority(status, group)) {
        return {std::to_string(voters_in_reach(status)) + " of " +
                    count(status.nodes.size(), "voter") + " in reach, " +
                    std::to_string(group.needed) + " needed: look at the silent nodes",
                "", Tone::bad};
    }
    const bool all_drained = std::all_of(
        status.nodes.begin(), status.nodes.end(),
        [](const NodeStatus& node) { return node.role == NodeRole::witness || node.drained; });
    if (all_drained) {
        return {"every router is drained", "run `hamr undrain` on one of them", Tone::bad};
    }
    return {"an election is under way; if this lasts, see `hamr history`", "", Tone::bad};
}

std::vector<Trouble> troubles(const Status& status) {
    std::vector<Trouble> found;
    add_leaders(status, found);
    if (!is_witness(status)) {
        add_router(status.router, found);
        add_checks(status, found);
    }
    add_nodes(status, found);
    add_warnings(status, found);
    return found;
}

std::vector<std::string> drains(const Status& status) {
    std::vector<std::string> found;
    for (const NodeStatus& node : status.nodes) {
        const bool here = node.name == status.node;
        if (here && status.drain.state != DrainStatus::State::none) continue;
        if (!node.drained) continue;
        found.push_back(node.name + " is drained: it does not lead until `hamr undrain` is run " +
                        (here ? "here" : "there"));
    }
    if (status.drain.state == DrainStatus::State::none) return found;
    const bool over = status.drain.state == DrainStatus::State::drained;
    std::string text = status.node + " (this node) ";
    if (over) {
        text += "is drained: it does not lead until `hamr undrain` is run here";
    } else {
        text += "drains: " + show_drain(status.drain);
    }
    if (!status.drain.note.empty()) text += "; " + status.drain.note;
    found.insert(found.begin(), text);
    return found;
}

}  // namespace hamr::cli
