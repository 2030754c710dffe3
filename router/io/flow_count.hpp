// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <vector>

namespace hamr::router_io {

/// How many open connections the kernel translates for these VIPs now: established TCP entries of
/// conntrack whose original destination is one of them, and that have a changed destination. Reads
/// the whole table: about 1 ms for 1,000 entries, on the calling thread. Needs CAP_NET_ADMIN.
[[nodiscard]] Result<std::uint64_t> count_flows(const std::vector<IpAddress>& vips);

}  // namespace hamr::router_io
