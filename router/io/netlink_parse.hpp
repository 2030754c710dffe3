// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "router/flows.hpp"

#include <cstdint>
#include <optional>

#include <linux/inet_diag.h>

struct nlmsghdr;

// The netlink messages of this room, read: connection tracking's and sock_diag's; no socket here.
// Each message must be complete: nlmsg_len bytes are readable.

namespace hamr::router_io {

/// A TCP entry of the kernel's connection tracking as a flow. Nothing for other entries, and for
/// those that no peer would take (rule F6): a stranger may connect from port 0, or from an address
/// that nobody has.
[[nodiscard]] std::optional<router::Flow> flow_of(const nlmsghdr* message);

/// A TCP socket, as the kernel names it.
struct DiagSocket {
    std::uint8_t family = 0;
    inet_diag_sockid id{};
};
/// One answer to a question for sockets; nothing when it is too short.
[[nodiscard]] std::optional<DiagSocket> socket_of(const nlmsghdr* message);
/// Whether its own end is this address; IPv4 may come inside an IPv6 socket.
[[nodiscard]] bool is_local(const DiagSocket& socket, const IpAddress& local);

/// What an NLMSG_ERROR says: an errno, 0 when all went well. EPROTO for one that is too short.
[[nodiscard]] int error_of(const nlmsghdr* message);

}  // namespace hamr::router_io
