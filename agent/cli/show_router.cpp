// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/show_router.hpp"

#include "agent/cli/words.hpp"

#include <algorithm>

namespace hamr::cli {

using namespace hamr::control;

namespace {

constexpr std::size_t table_columns = 100;
constexpr std::size_t widest_name = 34;
constexpr std::size_t most_lines = 3;  // of one check's output, when it is not up

Tone tone_of(RouterState state) {
    if (state == RouterState::serving) return Tone::good;
    return state == RouterState::failed ? Tone::bad : Tone::warn;
}

Tone tone_of(CheckState state) {
    if (state == CheckState::up) return Tone::good;
    return state == CheckState::down ? Tone::bad : Tone::warn;
}

std::string show_process(const ProcessStatus& process, WallTime now, const Paint& paint) {
    Tone tone = Tone::warn;
    if (process.state == "running") tone = Tone::good;
    if (process.state == "failed" || process.state == "waiting") tone = Tone::bad;
    std::string text = paint(tone, printable(process.state));
    if (process.pid != 0) text += ", pid " + std::to_string(process.pid);
    if (process.since && now >= *process.since) {
        text += ", for " + show_age(now - *process.since);
    }
    if (process.next_start_ms) text += ", next start in " + show_ms(*process.next_start_ms);
    if (process.restarts > 0) {
        text += ", " + paint(Tone::warn, count(process.restarts, "restart"));
    }
    if (process.adopted) text += ", adopted";
    std::string lines = line("process", text);
    if (!process.unit.empty()) lines += line("unit", printable(process.unit));
    if (!process.last_exit.empty()) lines += line("last exit", printable(process.last_exit));
    return lines;
}

/// "draining", "down, draining".
std::string state_words(const BackendStatus& backend) {
    std::string words(to_string(backend.state));
    if (backend.draining && backend.state != BackendState::draining) words += ", draining";
    return words;
}

std::string note_words(const BackendStatus& backend) {
    if (!backend.draining) return backend.note;
    const std::string left =
        backend.flows == 0 ? "no connection left" : count(backend.flows, "connection") + " left";
    return backend.note.empty() ? left : left + "; " + backend.note;
}

std::string show_backends(const std::vector<BackendStatus>& backends, const Paint& paint) {
    std::vector<std::vector<Cell>> rows{{{"backend"}, {"role"}, {"state"}, {"topology"}, {""}}};
    for (const BackendStatus& backend : backends) {
        const Tone state = backend.state == BackendState::up     ? Tone::good
                           : backend.state == BackendState::down ? Tone::bad
                                                                 : Tone::warn;
        rows.push_back({{backend.address},
                        {std::string(to_string(backend.role))},
                        {state_words(backend), state},
                        {backend.topology.empty() ? "-" : backend.topology},
                        {note_words(backend), Tone::warn}});
    }
    return table(rows, paint, "  ");
}

/// "up 2 h 5 min": what it is, and for how long.
std::string state_words(const CheckStatus& check, WallTime now) {
    std::string text(to_string(check.state));
    if (check.since && now >= *check.since) text += " " + show_age(now - *check.since);
    return text;
}

std::string output_words(const CheckStatus& check) {
    if (check.flaps == 0) return check.output;
    return "flaps (" + std::to_string(check.flaps) + " times lately)" +
           (check.output.empty() ? "" : ": ") + check.output;
}

/// The lines of a check's output that its last column shows.
std::vector<std::string> output_lines(const CheckStatus& check, std::size_t columns) {
    const std::string words = printable(output_words(check));
    if (check.state == CheckState::up) return {cut(words, columns)};
    std::string rest = wrap(words, "", columns);
    std::vector<std::string> lines;
    while (!rest.empty() && lines.size() < most_lines) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        lines.push_back(cut(rest.substr(0, end), columns));
        rest.erase(0, std::min(end + 1, rest.size()));
    }
    if (!rest.empty()) lines.back() = cut(lines.back() + " …………", columns);
    if (lines.empty()) lines.emplace_back();
    return lines;
}

/// "flows 812 here, router2 has them 0.4 ms later".
std::string show_flows(const FlowsStatus& flows, const Paint& paint) {
    std::string words = std::to_string(flows.own) + " here";
    if (flows.replicas > 0) words += ", " + std::to_string(flows.replicas) + " held for others";
    bool bad = flows.refused > 0;
    for (const FlowStreamStatus& stream : flows.streams) {
        if (stream.state != "synced") {
            const std::string state = printable(stream.state);
            words += ", " + printable(stream.peer) +
                     (flows.own > 0 ? " does not have them (" + state + ")" : " " + state);
            bad = bad || flows.own > 0;
        } else if (flows.own > 0) {
            words += ", " + printable(stream.peer) + " has them " +
                     show_ms(std::max(stream.lag_ms, stream.delay_ms)) + " later";
        }
    }
    if (flows.refused > 0) words += ", " + std::to_string(flows.refused) + " refused";
    if (flows.waiting > 0) {
        words += ", " + std::to_string(flows.waiting) + " wait for room in the kernel";
    }
    return line("flows", bad ? paint(Tone::warn, words) : words);
}

}  // namespace

std::string show_router(const RouterStatus& router, const std::optional<FlowsStatus>& flows,
                        WallTime now, const Paint& paint) {
    std::string text = "\n" + paint(Tone::strong, "router " + printable(router.kind)) + "\n";
    text += line("state", paint(tone_of(router.state), to_string(router.state)) + ", " +
                              count(router.flows, "flow"));
    if (!router.reason.empty()) text += line("reason", printable(router.reason));
    if (flows) text += show_flows(*flows, paint);
    if (router.process) text += show_process(*router.process, now, paint);
    return router.backends.empty() ? text : text + show_backends(router.backends, paint);
}

std::string show_checks(const std::vector<CheckStatus>& checks, WallTime now, const Paint& paint) {
    if (checks.empty()) return {};
    // Most checks are called after their kind.
    const bool kinds = std::any_of(checks.begin(), checks.end(), [](const CheckStatus& check) {
        return !check.name.starts_with(check.kind);
    });
    std::vector<std::vector<Cell>> rows{{{"check"}, {"kind"}, {"state"}, {"weight"}, {"output"}}};
    for (const CheckStatus& check : checks) {
        rows.push_back({{cut(check.name, widest_name)},
                        {check.kind},
                        {state_words(check, now), tone_of(check.state)},
                        {check.fatal ? "fatal" : std::to_string(check.weight)},
                        {""}});
    }
    if (!kinds) {
        for (auto& row : rows) row.erase(row.begin() + 1);
    }
    std::size_t used = 2;
    for (std::size_t column = 0; column + 1 < rows.front().size(); ++column) {
        std::size_t widest = 0;
        for (const auto& row : rows) widest = std::max(widest, width(row[column].text));
        used += widest + 2;
    }
    const std::size_t left = table_columns - std::min(used, table_columns - 20);
    std::vector<std::vector<Cell>> filled{rows.front()};
    for (std::size_t i = 0; i < checks.size(); ++i) {
        std::vector<Cell> row = rows[i + 1];
        for (std::string& words : output_lines(checks[i], left)) {
            row.back() = {std::move(words),
                          checks[i].state == CheckState::up ? Tone::plain : Tone::warn};
            filled.push_back(row);
            row.assign(row.size(), {});
        }
    }
    return "\n" + table(filled, paint, "  ");
}

}  // namespace hamr::cli
