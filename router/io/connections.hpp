// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

// The TCP sockets of this host, asked from the kernel (sock_diag, RFC-less; Linux only) and, when
// their address has gone away, ended. For a router that is a process: its connections are sockets
// here. The embedded router's connections are none; flow_count.hpp counts those.

namespace hamr::router_io {

/// How many connections clients have with listeners on these ports here: established, or half
/// closed with something still to send, IPv4 and IPv6. One whose both ends are here and on these
/// ports counts once for each end that a listener accepted. Blocks for about 1 ms per 1,000 sockets
/// of the host; needs no privilege. No ports: 0.
[[nodiscard]] Result<std::size_t> count_connections(std::span<const std::uint16_t> ports);

/// Ends every TCP connection of this host whose own end is `local`, as if the peer had reset it:
/// the process reads ECONNRESET or ECONNABORTED at once, lets go of what it held for that client
/// (a session with a server, its locks), and nothing keeps waiting for an address that is elsewhere
/// now. Listening sockets stay. The kernel also sends a reset to the peer, which a shut gate drops.
/// How many were ended. Needs CAP_NET_ADMIN, and a kernel with CONFIG_INET_DIAG_DESTROY: without it
/// the error's code is not_supported. Blocks like count_connections().
[[nodiscard]] Result<std::size_t> destroy_connections(const IpAddress& local);

}  // namespace hamr::router_io
