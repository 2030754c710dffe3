// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"

#include <optional>
#include <vector>

// Small questions to the kernel about this host's own addresses. Nothing blocks, nothing is sent.

namespace hamr::daemon {

/// Every IPv4 and IPv6 address on an interface of this network namespace.
[[nodiscard]] std::vector<IpAddress> local_addresses();

/// The source address that the routing table would choose towards `target`; none without a route.
[[nodiscard]] std::optional<IpAddress> source_towards(const IpAddress& target);

}  // namespace hamr::daemon
