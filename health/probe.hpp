// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "health/check.hpp"
#include "health/verdict.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What a check asks, and how often: plain values. health/io turns them into probes.

namespace hamr::health {

/// A process of that name runs (as in /proc/PID/comm), or the one whose pid is in the file.
struct ProcessProbe {
    std::string process;
    std::string pid_file;

    friend bool operator==(const ProcessProbe&, const ProcessProbe&) = default;
};

/// A connection is accepted.
struct TcpProbe {
    Endpoint target;

    friend bool operator==(const TcpProbe&, const TcpProbe&) = default;
};

/// A MySQL server answers behind `target`.
///
/// With a user: logs in and runs the query. Without: the whole handshake is gone through as a user
/// that nobody has, and an "access denied" proves that a server took part. A greeting alone may be
/// the router's own.
struct MysqlProbe {
    enum class Tls : std::uint8_t { off, required, verified };

    Endpoint target;
    std::string user;
    std::string password;
    /// Empty: SELECT 1. Its first value is shown. An empty result is a failure.
    std::string query;
    Tls tls = Tls::off;
    std::string ca_file;  ///< with Tls::verified

    friend bool operator==(const MysqlProbe&, const MysqlProbe&) = default;
};

/// GET; the status and, where given, a text in the body decide.
struct HttpProbe {
    Endpoint target;
    std::string host;  ///< the Host header
    std::string path = "/";
    std::string user;  ///< basic authentication
    std::string password;
    unsigned status = 0;  ///< what is expected; 0: any 2xx or 3xx
    std::string contains;

    friend bool operator==(const HttpProbe&, const HttpProbe&) = default;
};

/// Exit code 0 is good; of Nagios' codes 1 (warning) counts as good as well when `warning_is_up`.
struct CommandProbe {
    std::vector<std::string> argv;
    std::string user;
    bool warning_is_up = false;

    friend bool operator==(const CommandProbe&, const CommandProbe&) = default;
};

using ProbeSpec = std::variant<ProcessProbe, TcpProbe, MysqlProbe, HttpProbe, CommandProbe>;
/// "process", "tcp", "mysql", "http", "command".
[[nodiscard]] std::string_view kind_of(const ProbeSpec& probe);

/// A check as configured. Its name is unique on this host.
struct CheckSpec {
    std::string name;
    ProbeSpec probe;
    Duration interval = std::chrono::seconds{1};
    Duration timeout = std::chrono::seconds{1};
    /// Each pause is drawn from interval ± jitter, so that hosts do not ask in step.
    Duration jitter = std::chrono::milliseconds{100};
    unsigned rise = 2;
    unsigned fall = 2;
    /// What its failure adds to the host's demotion; fatal_demotion for a check that must not fail.
    std::uint32_t weight = 100;

    friend bool operator==(const CheckSpec&, const CheckSpec&) = default;
};

/// What one probe found. `text` is printable, at most `max_text` bytes.
struct ProbeResult {
    static constexpr std::size_t max_text = 512;

    bool ok = false;
    std::string text;
};

}  // namespace hamr::health
