// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"

#include <vector>

namespace hamr::test {

/// A status in which every field has a value of its own.
inline control::Status sample_status() {
    using namespace control;
    Status status;
    status.cluster = "shop";
    status.node = "router1";
    status.version = "0.1.0";
    status.quorum = "majority";
    const auto since = parse_time("2026-11-20T06:00:00Z");
    status.groups = {{"default",
                      {"192.0.2.100/24", "2001:db8::100/64"},
                      GroupState::leader,
                      "router1",
                      4,
                      since,
                      "takeover: router2 silent for 30 ms",
                      24.5,
                      3U,
                      2},
                     {"reads",
                      {"192.0.2.101/24"},
                      GroupState::candidate,
                      std::nullopt,
                      2,
                      std::nullopt,
                      "",
                      std::nullopt,
                      std::nullopt,
                      2}};
    status.nodes = {
        {"router1", NodeRole::router, NodeState::alive, 0, 0.0, false, {}, {}},
        {"router2", NodeRole::router, NodeState::silent, 10, 4210.5, true, {}, {}},
        {"witness1", NodeRole::witness, NodeState::never_heard, 0, std::nullopt, false, {}, {}}};
    status.router = {
        "embedded",
        RouterState::degraded,
        812,
        "no secondary: ro leads to the primary",
        {{"192.0.2.21:3306", BackendRole::primary, BackendState::up, "replication", ""},
         {"192.0.2.22:3306", BackendRole::unknown, BackendState::down, "", "connection refused"}},
        {}};
    status.drops = {{"bad_signature", 12},
                    {"malformed", 0},
                    {"replayed", 0},
                    {"unknown_node", 0},
                    {"wrong_cluster", 0}};
    status.warnings = {{"the clock drifts", "look at chrony"}};
    return status;
}

/// As above, of a host with a supervised router.
inline control::Status supervised_status() {
    using namespace control;
    Status status = sample_status();
    status.router = {
        "haproxy", RouterState::failed, 812, "haproxy was killed by signal 9 (SIGKILL)", {}, {}};
    status.router.process = ProcessStatus{"waiting", "haproxy.service",
                                          4711,      parse_time("2026-11-20T06:00:01Z"),
                                          3,         "killed by signal 9 (SIGKILL)",
                                          1500.5,    true};
    status.checks = {{"mysql 127.0.0.1:6446", "mysql", CheckState::down, 100, false,
                      "ERR 2003: no backend", parse_time("2026-11-20T06:00:02Z"), 2},
                     {"router", "process", CheckState::unknown, 1'000'000, true, "", {}, 0}};
    status.drain = {DrainStatus::State::finishing, 12, 48'000.5, "1 connection was cut"};
    return status;
}

inline std::vector<control::HistoryEntry> sample_history() {
    using namespace control;
    return {{*parse_time("2026-11-20T05:00:00Z"),
             "router2",
             "default",
             "candidate",
             "leader",
             "election: nobody leads",
             3,
             {}},
            {*parse_time("2026-11-20T06:00:00.123Z"),
             "router1",
             "default",
             "candidate",
             "leader",
             "takeover: router2 silent for 30 ms",
             4,
             {{"detected", 30.1}, {"elected", 0.4}}}};
}

}  // namespace hamr::test
