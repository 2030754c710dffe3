// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the control API says, as plain values: the daemon fills them, json.hpp writes them, the
// command line reads them back. The names are those of the JSON; keys are added, never renamed.

namespace hamr::control {

/// Wall-clock time (UTC), for people. Decisions are made on BootClock only.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// RFC 3339 in UTC: 2026-11-20T06:00:00Z, with three decimals when there are milliseconds.
[[nodiscard]] std::string format_time(WallTime time);
/// The inverse; only UTC ("Z"), 0 to 9 decimals.
std::optional<WallTime> parse_time(std::string_view text);

enum class GroupState { leader, follower, candidate, witness, drained, starting };
enum class NodeRole { router, witness };
enum class NodeState { alive, silent, never_heard };
enum class RouterState { serving, degraded, failed, off };
enum class BackendRole { primary, secondary, unknown };
enum class BackendState { up, down, draining };

struct GroupStatus {
    std::string name;
    std::vector<std::string> addresses;
    GroupState state = GroupState::starting;  // of this node
    std::optional<std::string> leader;        // null: nobody that this node knows of
    std::uint64_t term = 0;
    std::optional<WallTime> since;   // of the present leadership
    std::string reason;              // why it came to be
    std::optional<double> lease_ms;  // what is left of it; the leader's own, else null
    std::optional<unsigned> votes;   // likewise
    unsigned needed = 0;

    friend bool operator==(const GroupStatus&, const GroupStatus&) = default;
};

/// A pair of addresses between which a node's heartbeats arrive here.
struct PathStatus {
    std::string own;
    std::string peer;
    std::optional<double> last_heard_ms;  // null: never

    friend bool operator==(const PathStatus&, const PathStatus&) = default;
};

struct NodeStatus {
    std::string name;
    NodeRole role = NodeRole::router;
    NodeState state = NodeState::never_heard;
    std::int64_t demotion = 0;            // 0 is fully healthy
    std::optional<double> last_heard_ms;  // 0 for this node, null when never heard
    bool drained = false;
    std::vector<PathStatus> paths;  // empty for this node
    /// How its configuration differs from this node's: nodes, quorum, heartbeat. Absent when not.
    std::vector<std::string> differs;

    friend bool operator==(const NodeStatus&, const NodeStatus&) = default;
};

struct BackendStatus {
    std::string address;
    BackendRole role = BackendRole::unknown;
    BackendState state = BackendState::down;
    std::string topology;     // "replication", "group-replication", …; "" when not known
    std::string note;         // why it is not up; "" when it is
    bool draining = false;    // nothing new is given to it, by `hamr backend drain`
    std::uint64_t flows = 0;  // that go through it, as far as the kernel routes them

    friend bool operator==(const BackendStatus&, const BackendStatus&) = default;
};

/// A supervised router's process or unit. JSON: router.process, absent with other kinds.
struct ProcessStatus {
    std::string state;  // off, starting, running, stopping, finishing, waiting, failed
    std::string unit;   // "" unless systemd runs it
    int pid = 0;        // 0: none
    std::optional<WallTime> since;
    unsigned restarts = 0;  // that nobody asked for, since the agent began
    std::string last_exit;  // "" before the first
    std::optional<double> next_start_ms;
    bool adopted = false;  // an earlier life of the agent started it

    friend bool operator==(const ProcessStatus&, const ProcessStatus&) = default;
};

struct RouterStatus {
    std::string kind;
    RouterState state = RouterState::off;
    std::uint64_t flows = 0;
    std::string reason;  // why it is not serving; "" when it is
    std::vector<BackendStatus> backends;
    std::optional<ProcessStatus> process;

    friend bool operator==(const RouterStatus&, const RouterStatus&) = default;
};

enum class CheckState { unknown, up, down, paused };

/// A health check of this host. JSON: the array `checks`.
struct CheckStatus {
    std::string name;
    std::string kind;
    CheckState state = CheckState::unknown;
    std::uint64_t weight = 0;  // what its failure adds to the demotion
    bool fatal = false;
    std::string output;             // the last result's words
    std::optional<WallTime> since;  // of the state; null while unknown
    unsigned flaps = 0;             // turns that count for the damping now

    friend bool operator==(const CheckStatus&, const CheckStatus&) = default;
};

/// This node's drain. JSON: the object `drain`.
struct DrainStatus {
    enum class State { none, moving, finishing, drained };

    State state = State::none;
    std::uint64_t connections = 0;  // not finished yet
    std::optional<double> left_ms;  // until the rest is cut; while finishing
    std::string note;               // why leadership has not moved, what was cut

    friend bool operator==(const DrainStatus&, const DrainStatus&) = default;
};

/// The stream of flows with one other router host.
struct FlowStreamStatus {
    std::string peer;
    std::string state;    // connecting, waiting, syncing, synced, off
    double lag_ms = 0;    // age of the oldest change that the peer has not acknowledged
    double delay_ms = 0;  // how long the newest acknowledged change took
    std::uint64_t resyncs = 0;

    friend bool operator==(const FlowStreamStatus&, const FlowStreamStatus&) = default;
};

/// What is known of client connections. JSON: the object `flows`, absent without a router.
struct FlowsStatus {
    std::uint64_t own = 0;       // that end here, or run through here
    std::uint64_t replicas = 0;  // of others, that this host's kernel could go on with
    std::vector<FlowStreamStatus> streams;
    std::uint64_t missed = 0;   // times that the kernel had more events than could be read
    std::uint64_t refused = 0;  // beyond the limit, or not taken by the kernel
    std::uint64_t waiting = 0;  // of others', until this host's kernel has room for them
    std::uint64_t entries = 0;  // connections in the kernel's table, also such that are no flows
    std::uint64_t most_entries = 0;  // nf_conntrack_max
    std::uint64_t dropped = 0;       // packets, since there was no entry, or no port, for them

    friend bool operator==(const FlowsStatus&, const FlowsStatus&) = default;
};

/// The times between this node's heartbeats, since this program began. JSON: the object `pulse`.
struct BeatStatus {
    std::uint64_t gaps = 0;  // how many
    double p50_ms = 0;       // up to an eighth too much
    double p99_ms = 0;
    double max_ms = 0;
    std::uint64_t moves = 0;  // of the heartbeats' thread, away from a processor that was stuck

    friend bool operator==(const BeatStatus&, const BeatStatus&) = default;
};

struct Warning {
    std::string what;
    std::string remedy;

    friend bool operator==(const Warning&, const Warning&) = default;
};

struct Status {
    std::string cluster;
    std::string node;  // this one
    std::string version;
    std::optional<WallTime> started;  // this program; a life may have had others before
    std::string quorum;               // the effective mode: majority or none
    std::vector<GroupStatus> groups;
    std::vector<NodeStatus> nodes;  // this one included
    RouterStatus router;
    std::optional<FlowsStatus> flows;
    std::vector<CheckStatus> checks;
    DrainStatus drain;
    BeatStatus beats;
    std::map<std::string, std::uint64_t> drops;  // by reason; the JSON names the five basic ones
    std::vector<Warning> warnings;

    friend bool operator==(const Status&, const Status&) = default;
};

/// One transition of a node: `from` and `to` are its states (GroupState's words). They are equal
/// for an event that changed nothing (somebody deleted the address, another host answers for it).
struct HistoryEntry {
    WallTime time;
    std::string node;  // whose transition it was
    std::string group;
    std::string from;
    std::string to;
    std::string reason;
    std::uint64_t term = 0;
    /// Stages and how long each took, in order: {"detected", 30.1}, {"elected", 0.4}, …
    std::vector<std::pair<std::string, double>> stages_ms;

    friend bool operator==(const HistoryEntry&, const HistoryEntry&) = default;
};

struct FailoverRequest {
    std::optional<std::string> to;     // else the best peer
    std::optional<std::string> group;  // else every group
    bool force = false;                // also onto a worse node

    friend bool operator==(const FailoverRequest&, const FailoverRequest&) = default;
};

struct Move {
    std::string group;
    std::string from;
    std::string to;
    double ms = 0;  // from the request until the successor announced; 0 when nothing had to move

    friend bool operator==(const Move&, const Move&) = default;
};

/// How a request ended. HTTP: done 200, unknown 404, refused 409, bad_file 422 (a configuration
/// file is wrong), failed 503, timed_out 504.
enum class Outcome { done, unknown, refused, bad_file, failed, timed_out };

struct FailoverAnswer {
    Outcome outcome = Outcome::done;
    std::string message;  // for done: what was achieved; else: why not
    std::string remedy;   // what the operator can do; "" for done
    std::vector<Move> moves;

    friend bool operator==(const FailoverAnswer&, const FailoverAnswer&) = default;
};

struct DrainRequest {
    bool drained = true;               // false: undrain
    std::optional<double> timeout_ms;  // how long connections may finish; else drain_timeout

    friend bool operator==(const DrainRequest&, const DrainRequest&) = default;
};

struct BackendRequest {
    bool draining = true;  // false: undrain
    std::string address;   // HOST:PORT, or a host alone

    friend bool operator==(const BackendRequest&, const BackendRequest&) = default;
};

/// The answer to drain and undrain of a backend: this node's rules stand, and those of `confirmed`.
struct BackendAnswer {
    Outcome outcome = Outcome::done;
    std::string message;
    std::string remedy;
    std::string address;                 // of the backend, with its port
    std::vector<std::string> confirmed;  // peers
    std::vector<std::string> notes;      // who has not confirmed, routes that lead nowhere

    friend bool operator==(const BackendAnswer&, const BackendAnswer&) = default;
};

struct ReloadRequest {
    bool force = false;  // also a step of which only an operator can know that it is safe

    friend bool operator==(const ReloadRequest&, const ReloadRequest&) = default;
};

/// The answer to drain, undrain, reload and restart: begun (drain goes on; see Status::drain) or
/// done.
struct Answer {
    Outcome outcome = Outcome::done;
    std::string message;
    std::string remedy;
    bool restarts = false;  // the agent executes its program again now

    friend bool operator==(const Answer&, const Answer&) = default;
};

[[nodiscard]] std::string_view to_string(GroupState state);
[[nodiscard]] std::string_view to_string(NodeRole role);
[[nodiscard]] std::string_view to_string(NodeState state);
[[nodiscard]] std::string_view to_string(RouterState state);
[[nodiscard]] std::string_view to_string(BackendRole role);
[[nodiscard]] std::string_view to_string(BackendState state);
[[nodiscard]] std::string_view to_string(CheckState state);
[[nodiscard]] std::string_view to_string(DrainStatus::State state);

/// What is wrong with a request by names alone (unknown group or node, a witness as the target,
/// sent to a witness); nothing when the daemon should judge it.
std::optional<FailoverAnswer> check_names(const Status& status, const FailoverRequest& request);

}  // namespace hamr::control
