// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <sys/socket.h>

// The socket calls behind transport.hpp: addresses as the kernel wants them, and a bound socket.

namespace hamr::election_io {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

[[nodiscard]] SocketAddress to_socket_address(const Endpoint& endpoint);
[[nodiscard]] Endpoint to_endpoint(const sockaddr_storage& storage);

/// A non-blocking UDP socket bound to `own`, which need not exist yet, with the marks of network
/// control traffic (DSCP CS6, priority 6).
[[nodiscard]] Result<UniqueFd> bind_udp(const Endpoint& own);

/// What getsockname() says.
[[nodiscard]] Endpoint bound_to(int fd);

}  // namespace hamr::election_io
