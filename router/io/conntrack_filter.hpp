// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <vector>

namespace hamr::router_io {

/// A bound, non-blocking netlink socket for connection tracking.
[[nodiscard]] Result<UniqueFd> open_conntrack_socket();

/// Makes the kernel hand this netlink socket only connection tracking events of connections to
/// these addresses (as their original destination), not before they are established, and not
/// that they went from TIME_WAIT: a classic BPF program over the attributes.
/// With more than some 400 addresses no filter is attached, and all comes.
[[nodiscard]] Result<> attach_conntrack_filter(int fd, const std::vector<IpAddress>& vips);

}  // namespace hamr::router_io
