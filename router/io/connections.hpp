// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

// The TCP connections of this host that end in a process, asked from the kernel (sock_diag) and,
// when their address has moved away, ended. For routers that run as a process; what the embedded
// router translates are no sockets (flow_sync.hpp knows them). Acts on the network namespace of the
// calling thread.

namespace hamr::router_io {

/// How many connections are open on these local ports: established, or closed by the client only;
/// IPv4 and IPv6. Blocks: a host with 10,000 sockets took 8 ms. Needs no privilege. Without
/// ports: 0.
[[nodiscard]] Result<std::size_t> count_connections(std::span<const std::uint16_t> ports);

/// Ends every TCP connection of this host whose own end is `local`, as if the peer had reset it:
/// the process hears of it at once (ECONNABORTED) and lets go of what it holds for that client, a
/// session with a server and its locks. The kernel sends the peer a reset, which a shut gate drops.
/// Listening sockets stay. How many were ended.
///
/// Needs CAP_NET_ADMIN, and a kernel with CONFIG_INET_DIAG_DESTROY: the error's code is
/// not_supported without it. Blocks: 5,000 connections took 36 ms.
[[nodiscard]] Result<std::size_t> destroy_connections(const IpAddress& local);

}  // namespace hamr::router_io
