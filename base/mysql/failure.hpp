// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

// Why a MySQL server did not give what was asked. Plain values, so that pure code may judge them.

namespace hamr::mysql {

enum class FailureKind : std::uint8_t {
    refused,               ///< the host answered with a reset: no server is there
    timeout,               ///< nothing came within the time given
    no_route,              ///< the host or its network cannot be reached
    lost,                  ///< the connection broke
    access_denied,         ///< 1045, 1044, 1142, 1227, 1698: this account may not
    too_many_connections,  ///< 1040, 1203, 1226
    host_blocked,          ///< 1129: too many broken handshakes from this host
    host_not_allowed,      ///< 1130: no account for this host
    tls,                   ///< no TLS is spoken there, or its certificate does not convince
    protocol,              ///< what came is not MySQL's protocol, or one that cannot be spoken
    server,                ///< any other error that the server named
    client,                ///< this side could not even try (memory, descriptors)
};

[[nodiscard]] constexpr const char* to_string(FailureKind kind) {
    switch (kind) {
        case FailureKind::refused:
            return "connection refused";
        case FailureKind::timeout:
            return "timed out";
        case FailureKind::no_route:
            return "no route";
        case FailureKind::lost:
            return "connection lost";
        case FailureKind::access_denied:
            return "access denied";
        case FailureKind::too_many_connections:
            return "too many connections";
        case FailureKind::host_blocked:
            return "host blocked";
        case FailureKind::host_not_allowed:
            return "host not allowed";
        case FailureKind::tls:
            return "TLS failed";
        case FailureKind::protocol:
            return "protocol error";
        case FailureKind::server:
            return "server error";
        case FailureKind::client:
            return "client error";
    }
    return "?";
}

/// A server spoke, if only to refuse: it is alive, though nothing is known of its role.
[[nodiscard]] constexpr bool answered(FailureKind kind) {
    switch (kind) {
        case FailureKind::access_denied:
        case FailureKind::too_many_connections:
        case FailureKind::host_blocked:
        case FailureKind::host_not_allowed:
        case FailureKind::server:
            return true;
        default:
            return false;
    }
}

/// Nothing is there, beyond doubt: no second try can change that.
[[nodiscard]] constexpr bool certain(FailureKind kind) {
    return kind == FailureKind::refused || kind == FailureKind::no_route;
}

struct Failure {
    FailureKind kind = FailureKind::client;
    /// MySQL's error number, of the server or of the client library; 0 when there is none.
    unsigned code = 0;
    /// For people: "access denied: Access denied for user … (1045)".
    std::string text;
};

}  // namespace hamr::mysql
