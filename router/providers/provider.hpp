// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the agent has to know of a router that it runs: how it is started, told to reload, told to
// finish, stopped, and where its clients connect. One file for each kind turns the operator's few
// words, and the text of the router's own configuration file, into a Plan. Pure: nothing is opened,
// started or asked here.

namespace hamr::router {

enum class ProviderKind : std::uint8_t { mysqlrouter, haproxy, proxysql, systemd, command };
[[nodiscard]] std::string_view to_string(ProviderKind kind);

/// When the router runs.
enum class StartWhen : std::uint8_t {
    always,  ///< on every router host, leader or not: a takeover has nothing to start
    leader,  ///< only while this host leads: for a router that must bind the VIP itself
};

/// Where the admin port of a ProxySQL is, and as whom to log in.
struct AdminAccess {
    std::optional<Endpoint> address;
    std::string user;
    std::string password;

    friend bool operator==(const AdminAccess&, const AdminAccess&) = default;
};

/// The operator's words (docs/configuration.md, `router:`), defaults not filled in.
struct ProviderConfig {
    ProviderKind kind = ProviderKind::command;
    std::string program;                      ///< path of the binary; empty: the kind's own
    std::string config;                       ///< the router's configuration file
    std::string user;                         ///< whom it runs as; empty: as the agent
    std::vector<std::string> arguments;       ///< appended
    std::vector<std::string> command;         ///< kind command: what to run, in the foreground
    std::vector<std::string> reload_command;  ///< kind command: else SIGHUP
    std::string unit;                         ///< kind systemd: "haproxy.service"
    AdminAccess admin;                        ///< kind proxysql
    StartWhen start = StartWhen::always;
    /// How long it may take to listen after its start, before its silence counts against the host.
    Duration start_timeout = std::chrono::seconds{10};
    /// From the polite request to end until SIGKILL.
    Duration stop_timeout = std::chrono::seconds{10};
    /// How long a drain lets connections finish.
    Duration drain_timeout = std::chrono::seconds{60};

    friend bool operator==(const ProviderConfig&, const ProviderConfig&) = default;
};

/// One way to ask a running router for something.
struct SendSignal {
    int number = 0;
};
/// A statement for ProxySQL's admin port, or a command for HAProxy's stats socket.
struct AdminCommand {
    std::string text;
};
struct RunCommand {
    std::vector<std::string> argv;
};
/// std::monostate: this router has no such thing.
using Request = std::variant<std::monostate, SendSignal, AdminCommand, RunCommand>;

/// A port on which clients are served, as the router's own configuration says.
struct Listener {
    enum class Protocol : std::uint8_t { mysql, mysql_x, http, other };

    std::string name;  ///< of the route, frontend or section
    Endpoint address;  ///< 0.0.0.0 and :: as written
    Protocol protocol = Protocol::mysql;
};

struct Plan {
    std::string name;                ///< for messages: "haproxy"
    std::vector<std::string> argv;   ///< in the foreground, as one process tree; empty for systemd
    std::vector<std::string> judge;  ///< exits with 0 when the configuration is good; may be empty
    std::string user;
    std::string unit;
    Request reload;
    /// Stop listening, finish what is there, then end.
    Request finish;
    /// After `finish` it ends by itself with its last connection; else somebody has to count, and
    /// to send `stop`.
    bool ends_when_finished = false;
    /// Takes `finish` back. std::monostate: it must be stopped and started again.
    Request resume;
    /// End now, politely. SIGKILL follows after stop_timeout.
    Request stop;
    std::vector<Listener> listeners;
    std::string stats_socket;  ///< HAProxy's, when its configuration has one
    AdminAccess admin;         ///< ProxySQL's: the operator's words, else its own file's
    /// Legal, but the operator should know ("daemon is overridden: the agent runs it in the
    /// foreground").
    std::vector<std::string> warnings;
};

/// The router's own configuration file: as configured, else where the kind's packages put it; empty
/// when the kind needs none.
[[nodiscard]] std::string config_path(const ProviderConfig& config);

/// `file`: the text of config_path() ("" when there is none; of a directory, which HAProxy knows:
/// its *.cfg files in order of their names, each ended by a newline). The error says what is
/// missing and what to write. What a text leaves unclear (conditions, variables, names that would
/// have to be resolved) gives fewer listeners, never wrong ones. Time and memory are linear in the
/// text; at most max_listeners are told.
inline constexpr std::size_t max_listeners = 256;
[[nodiscard]] Result<Plan> make_plan(const ProviderConfig& config, std::string_view file);

}  // namespace hamr::router
