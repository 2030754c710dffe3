// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/error.hpp"
#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "health/probe.hpp"
#include "router/providers/provider.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The configuration as plain values, complete: every default is filled in and every rule of
// docs/configuration.md holds. The same file serves every host of the cluster.
//
// load() judges the file alone. It opens no other file, looks at no interface, and gives the same
// verdict on any machine.

namespace hamr::config {

namespace limits {
inline constexpr std::size_t file_bytes = 1 << 20;
inline constexpr std::size_t nodes = 16;
inline constexpr std::size_t node_addresses = 5;  // election_io::max_addresses
inline constexpr std::size_t groups = 256;
inline constexpr std::size_t group_addresses = 16;
inline constexpr std::size_t backends = 64;
inline constexpr std::size_t routes = 16;
inline constexpr std::size_t checks = 32;
inline constexpr std::size_t arguments = 64;
inline constexpr Duration lease = std::chrono::seconds(3);
}  // namespace limits

enum class NodeRole { router, witness };
enum class Quorum { automatic, majority, none };
/// What `quorum` comes to, once `auto` is resolved.
enum class Mode { majority, none };
/// The kinds of supervised routers are router::ProviderKind's.
enum class RouterKind { embedded, none, supervised };
enum class RouteTarget { primary, secondary };

struct Node {
    std::string name;
    std::vector<IpAddress> addresses;  // at least one; frames go over all of them
    NodeRole role = NodeRole::router;

    friend bool operator==(const Node&, const Node&) = default;
};

struct Heartbeat {
    Duration interval = std::chrono::milliseconds(100);  // 2 ms – 1 s
    int misses = 3;                                      // 2 – 20
    std::uint16_t port = 8112;                           // UDP; the flow stream: TCP

    friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

/// Whether leadership returns to a preferred node, and how long that node must be fit before.
struct Failback {
    bool enabled = false;
    Duration after{};

    friend bool operator==(const Failback&, const Failback&) = default;
};

struct Group {
    std::string name;
    std::vector<IpPrefix> addresses;       // the VIPs; at least one
    std::optional<std::string> interface;  // else: the one whose network holds the address
    std::vector<std::string> prefer;       // every router, the most preferred first
    Failback failback;
    bool put_back = true;  // an address that somebody else deletes

    friend bool operator==(const Group&, const Group&) = default;
};

struct Monitor {
    std::string user;
    std::string password_file;
    Duration interval = std::chrono::milliseconds(500);
    Duration timeout = std::chrono::milliseconds(500);

    friend bool operator==(const Monitor&, const Monitor&) = default;
};

struct Route {
    std::string name;
    std::uint16_t port = 0;
    RouteTarget to = RouteTarget::primary;

    friend bool operator==(const Route&, const Route&) = default;
};

/// With kind none everything else is empty; backends, monitor and routes are the embedded
/// router's, provider a supervised one's.
struct Router {
    RouterKind kind = RouterKind::embedded;
    std::vector<Endpoint> backends;
    Monitor monitor;
    std::vector<Route> routes;
    router::ProviderConfig provider;
    std::string admin_password_file;  ///< fills provider.admin.password when the agent starts

    /// What `kind:` says: "embedded", "none", "haproxy", …
    [[nodiscard]] std::string_view kind_name() const;

    friend bool operator==(const Router&, const Router&) = default;
};

/// One entry of `health:`.
struct HealthCheck {
    health::CheckSpec spec;
    std::string password_file;  ///< fills the probe's password when the agent starts

    friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct Config {
    std::string cluster;
    std::vector<Node> nodes;  // in file order
    std::string key_file;
    Heartbeat heartbeat;
    Quorum quorum = Quorum::automatic;
    std::vector<Group> groups;
    Router router;
    std::vector<HealthCheck> health;
    Duration announce_refresh = std::chrono::seconds(60);

    /// `auto` is majority with three voters or more, else none. Every node is a voter.
    [[nodiscard]] Mode effective_mode() const;
    /// The lease D = interval · misses.
    [[nodiscard]] Duration lease() const { return heartbeat.interval * heartbeat.misses; }
    [[nodiscard]] const Node* find_node(std::string_view name) const;

    friend bool operator==(const Config&, const Config&) = default;
};

struct Loaded {
    Config config;
    std::vector<Problem> warnings;  // legal, but the operator should know
};

/// Reads and judges a file. Throws ConfigError with every problem; its cause() is set when the file
/// could not be read.
Loaded load(const std::string& path);

/// As load(), for text that is already here; `name` stands for the file in messages.
Loaded parse(const std::string& text, const std::string& name);

/// Which of the nodes this host is: the one called `name` (from --node), else the one that has an
/// address out of `local`. Index into config.nodes. Several nodes matching is an error.
Result<std::size_t> find_self(const Config& config, const std::optional<std::string>& name,
                              const std::vector<IpAddress>& local);

[[nodiscard]] std::string_view to_string(NodeRole role);
[[nodiscard]] std::string_view to_string(Quorum quorum);
[[nodiscard]] std::string_view to_string(Mode mode);
[[nodiscard]] std::string_view to_string(RouteTarget target);

}  // namespace hamr::config
