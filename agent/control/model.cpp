// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/model.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hamr::control {

namespace {

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
    if (at + count > text.size()) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(at, count)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

template <class Range>
std::string join_names(const Range& range) {
    std::string text;
    for (const auto& each : range) text += (text.empty() ? "" : ", ") + each.name;
    return text;
}

template <class Range>
auto find_name(const Range& range, std::string_view name) {
    return std::find_if(range.begin(), range.end(), [&](const auto& e) { return e.name == name; });
}

}  // namespace

std::string format_time(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::array<char, 64> text{};
    const auto ms = static_cast<int>(clock.subseconds().count());
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                  static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()));
    std::string result = text.data();
    if (ms != 0) {
        std::snprintf(text.data(), text.size(), ".%03d", ms);
        result += text.data();
    }
    return result + "Z";
}

std::optional<WallTime> parse_time(std::string_view text) {
    const auto year = digits(text, 0, 4);
    const auto month = digits(text, 5, 2);
    const auto day = digits(text, 8, 2);
    const auto hour = digits(text, 11, 2);
    const auto minute = digits(text, 14, 2);
    const auto second = digits(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') {
        return std::nullopt;
    }
    const std::chrono::year_month_day date(std::chrono::year(*year),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day)));
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    int ms = 0;
    std::size_t at = 19;
    if (at < text.size() && text[at] == '.') {
        int scale = 100;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9' && at < 29; ++at) {
            ms += (text[at] - '0') * scale;
            scale /= 10;
        }
        if (at == 20) return std::nullopt;
    }
    if (text.substr(at) != "Z") return std::nullopt;
    return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) +
           std::chrono::minutes(*minute) + std::chrono::seconds(*second) +
           std::chrono::milliseconds(ms);
}

std::string_view to_string(GroupState state) {
    switch (state) {
        case GroupState::leader:
            return "leader";
        case GroupState::follower:
            return "follower";
        case GroupState::candidate:
            return "candidate";
        case GroupState::witness:
            return "witness";
        case GroupState::drained:
            return "drained";
        case GroupState::starting:
            return "starting";
    }
    return "starting";
}

std::string_view to_string(NodeRole role) {
    return role == NodeRole::router ? "router" : "witness";
}

std::string_view to_string(NodeState state) {
    switch (state) {
        case NodeState::alive:
            return "alive";
        case NodeState::silent:
            return "silent";
        case NodeState::never_heard:
            return "never_heard";
    }
    return "never_heard";
}

std::string_view to_string(RouterState state) {
    switch (state) {
        case RouterState::serving:
            return "serving";
        case RouterState::degraded:
            return "degraded";
        case RouterState::failed:
            return "failed";
        case RouterState::off:
            return "off";
    }
    return "off";
}

std::string_view to_string(BackendRole role) {
    switch (role) {
        case BackendRole::primary:
            return "primary";
        case BackendRole::secondary:
            return "secondary";
        case BackendRole::unknown:
            return "unknown";
    }
    return "unknown";
}

std::string_view to_string(BackendState state) {
    switch (state) {
        case BackendState::up:
            return "up";
        case BackendState::down:
            return "down";
        case BackendState::draining:
            return "draining";
    }
    return "down";
}

std::string_view to_string(CheckState state) {
    switch (state) {
        case CheckState::unknown:
            return "unknown";
        case CheckState::up:
            return "up";
        case CheckState::down:
            return "down";
        case CheckState::paused:
            return "paused";
    }
    return "unknown";
}

std::string_view to_string(DrainStatus::State state) {
    switch (state) {
        case DrainStatus::State::none:
            return "none";
        case DrainStatus::State::moving:
            return "moving";
        case DrainStatus::State::finishing:
            return "finishing";
        case DrainStatus::State::drained:
            return "drained";
    }
    return "none";
}

std::optional<FailoverAnswer> check_names(const Status& status, const FailoverRequest& request) {
    if (request.group && find_name(status.groups, *request.group) == status.groups.end()) {
        return FailoverAnswer{Outcome::unknown,
                              "unknown group \"" + *request.group +
                                  "\"; groups of this cluster are: " + join_names(status.groups),
                              "name one of these with --group, or none for all of them",
                              {}};
    }
    if (request.to) {
        const auto node = find_name(status.nodes, *request.to);
        if (node == status.nodes.end()) {
            return FailoverAnswer{Outcome::unknown,
                                  "unknown node \"" + *request.to +
                                      "\"; nodes of this cluster are: " + join_names(status.nodes),
                                  "name one of these with --to, or none for the best peer",
                                  {}};
        }
        if (node->role == NodeRole::witness) {
            return FailoverAnswer{Outcome::refused,
                                  node->name + " is a witness and never leads",
                                  "name a router with --to",
                                  {}};
        }
    }
    const auto self = find_name(status.nodes, status.node);
    if (self != status.nodes.end() && self->role == NodeRole::witness) {
        return FailoverAnswer{Outcome::refused,
                              "this node, " + self->name + ", is a witness",
                              "run `hamr failover` on one of the routers",
                              {}};
    }
    return std::nullopt;
}

}  // namespace hamr::control
