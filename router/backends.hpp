// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/mysql/failure.hpp"
#include "base/net/address.hpp"
#include "router/standing.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What is known of each configured backend, and what follows from it: which backends each route
// leads to, and whether this host can serve. Pure: observations in, decisions out.
//
// Rules
//   R1  A server's role is what it last said: writable (read_only and super_read_only both off) or
//       not. One observation is enough to change it.
//   R2  A refused connection or a missing route is certain: down at once. Silence and broken
//       connections must come `fall` times in a row.
//   R3  A server that answers with an error (wrong password, too many connections) lives. It keeps
//       its last known role, which is then stale.
//   R4  Two writable servers: the primary that is known stays, nothing new is routed to the other,
//       and a warning names both. A stale role yields to a fresh one.
//   R5  Without a monitor account no role can be known: the first backend that is up, in the
//       configured order, counts as the primary, the others as secondaries, and a warning says so.
//   R6  A draining backend keeps its role and gets nothing new. A route that has no other is told,
//       and demotes nobody: it is the same on every host.
//   R7  Flows go on with a backend until it is down (R2); those of a route to the primary also end
//       when it has said that it is read-only (R1), or another one is the primary. Those of a route
//       to secondaries go on with one that was promoted. Nobody is judged before it was asked.

namespace hamr::router {

/// One answer of a backend, or its absence.
struct Observation {
    BootTime begun_at = long_ago;
    /// Empty when the server was asked and answered.
    std::optional<mysql::Failure> failure;
    /// Empty when the server could not be asked.
    std::optional<bool> read_only;
    /// Empty also on MariaDB, which has no such variable.
    std::optional<bool> super_read_only;
    std::string version;
    Duration latency{};
};

enum class Role : std::uint8_t { unknown, primary, secondary };
enum class BackendState : std::uint8_t { down, up, draining };
enum class RouterState : std::uint8_t { off, failed, degraded, serving };

[[nodiscard]] const char* to_string(Role role);
[[nodiscard]] const char* to_string(BackendState state);
[[nodiscard]] const char* to_string(RouterState state);

/// A listening port of the VIP and the role that it leads to.
struct Route {
    std::string name;
    std::uint16_t port = 0;
    Role to = Role::primary;
    /// For secondaries: lead to the primary when there is no secondary.
    bool fall_back = true;
};

/// A route with the backends that new connections are given to now; empty answers with a reset.
struct RoutePlan {
    std::string name;
    std::uint16_t port = 0;
    std::vector<Endpoint> backends;

    friend bool operator==(const RoutePlan&, const RoutePlan&) = default;
};

struct Warning {
    std::string what;
    std::string remedy;

    friend bool operator==(const Warning&, const Warning&) = default;
};

/// A backend as people see it.
struct BackendView {
    Endpoint address;
    Role role = Role::unknown;
    BackendState state = BackendState::down;
    /// Nothing new is given to it, whether it is up or not.
    bool draining = false;
    std::string topology = "source-replica";
    /// The last failure's words; empty when the last observation was good.
    std::string error;
    std::string version;
    Duration latency{};
};

/// A change of a backend's role or state, for the log and the history.
struct Change {
    Endpoint backend;
    /// "down", "up, primary", …
    std::string from;
    std::string to;
    std::string reason;
};

struct Verdict {
    RouterState state = RouterState::off;
    std::string reason;
    /// 0 when every route is served, else one of the constants below.
    std::uint32_t demotion = 0;
    /// When the oldest observation that this rests on began.
    BootTime begun_at = long_ago;
    std::vector<Warning> warnings;
};

/// Some route leads nowhere.
inline constexpr std::uint32_t demotion_route_lost = 100;
/// No route leads anywhere.
inline constexpr std::uint32_t demotion_all_lost = 200;
/// Some route leads nowhere, and the backends have not all been asked yet.
inline constexpr std::uint32_t demotion_not_asked = 10'000;

struct BackendsConfig {
    std::vector<Endpoint> servers;
    std::vector<Route> routes;
    /// No monitor account: R5.
    bool roles_by_order = false;
    /// Uncertain failures in a row until a backend is down; answers in a row until it is up again.
    unsigned fall = 2;
    unsigned rise = 1;
};

class Backends {
  public:
    explicit Backends(BackendsConfig config);

    /// What `server` answered. Unknown servers and overtaken observations are ignored. Returns the
    /// changes that followed, of this backend and of others.
    [[nodiscard]] std::vector<Change> observe(const Endpoint& server, Observation observation);
    /// Nothing new to this backend, or again. False when it is not known.
    bool drain(const Endpoint& server, bool on);

    [[nodiscard]] std::vector<BackendView> view() const;
    /// One entry per configured route, in its order.
    [[nodiscard]] std::vector<RoutePlan> plan() const;
    /// The names of the routes that lead nowhere because all that could serve them is draining.
    [[nodiscard]] std::vector<std::string> drained_routes() const;
    [[nodiscard]] Verdict verdict() const;
    /// R7, for each route and each configured backend.
    [[nodiscard]] std::vector<Standing> standings() const;

  private:
    struct Server {
        Endpoint address;
        bool asked = false;
        bool up = false;
        bool draining = false;
        unsigned failures = 0;
        unsigned answers = 0;
        std::optional<bool> writable;
        /// The role comes from the newest observation.
        bool fresh = false;
        std::string error;
        std::string version;
        Duration latency{};
        BootTime newest = long_ago;
        /// The newest observation that bears out `up`.
        BootTime begun_at = long_ago;
        /// The newest that told its role.
        BootTime told_at = long_ago;
        /// When the last failures began, `fall` at most; empty when it answers.
        std::vector<BootTime> evidence;
    };

    void note(Server& server, const Observation& observation) const;
    void note_evidence(Server& server, const Observation& seen) const;
    [[nodiscard]] Standing standing(const Route& route, std::size_t index) const;
    void choose_primary();
    void choose_primary_by_order();
    [[nodiscard]] bool known_primary_stays() const;
    [[nodiscard]] Role role_of(std::size_t index) const;
    [[nodiscard]] bool conflicting(std::size_t index) const;
    [[nodiscard]] bool usable(std::size_t index, bool also_draining) const;
    [[nodiscard]] BackendState state_of(const Server& server) const;
    [[nodiscard]] std::string describe(std::size_t index) const;
    [[nodiscard]] std::string why_not(std::size_t index) const;
    [[nodiscard]] std::string why_no_primary() const;
    [[nodiscard]] std::vector<std::size_t> serving(const Route& route,
                                                   bool also_draining = false) const;
    [[nodiscard]] bool is_drained(const Route& route) const;
    [[nodiscard]] std::vector<Warning> warnings() const;
    void note_lost(Verdict& verdict, const std::string& lost, std::size_t served) const;

    BackendsConfig config_;
    std::vector<Server> servers_;
    std::optional<std::size_t> primary_;
};

}  // namespace hamr::router
