// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "health/probe.hpp"
#include "router/providers/provider.hpp"

#include <vector>

namespace hamr::daemon {

/// The checks of this host: those of `health:`, else what suits the router.
///
/// For a supervised router: each of its MySQL ports is asked as a client would, without an account
/// (the whole handshake, so that a server behind has to take part); ports of the X protocol must
/// accept; a ProxySQL with an admin account must know a server that is online. A port that is bound
/// to a floating address is asked only where the router follows leadership: elsewhere the answer
/// would be another host's.
[[nodiscard]] std::vector<health::CheckSpec> checks_of(const config::Config& config,
                                                       const router::Plan* plan);

}  // namespace hamr::daemon
