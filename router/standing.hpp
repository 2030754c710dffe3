// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"

#include <cstdint>
#include <string>

namespace hamr::router {

/// Whether the flows of a route may go on with a backend; what is known of that, and since when.
/// Pairs of which there is none are not configured: their flows end.
struct Standing {
    std::uint16_t port = 0;  ///< the route's
    Endpoint backend;
    bool goes_on = true;
    /// When what this rests on began to be observed: a node that has begun to lead since then has
    /// to look again before it ends flows (R7).
    BootTime begun_at = long_ago;
    /// Why they end, in a few words; empty while they go on.
    std::string why;

    friend bool operator==(const Standing&, const Standing&) = default;
};

}  // namespace hamr::router
