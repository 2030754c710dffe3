// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/control/model.hpp"
#include "base/clock.hpp"
#include "vip/plan.hpp"

#include <optional>
#include <string>
#include <vector>

// What `hamr status` and the log warn about, in words that say what to do.

namespace hamr::daemon {

/// What a configuration that was accepted does not promise: the file's own warnings, without those
/// that the router tells itself, and the price of quorum none.
[[nodiscard]] std::vector<control::Warning> config_warnings(const config::Loaded& loaded);

/// A node's own addresses that are on no interface of this host: no frame comes back over them.
[[nodiscard]] std::vector<control::Warning> absent_addresses(const config::Node& self,
                                                             const std::vector<IpAddress>& local);

/// That two clocks run apart, `ratio` being what one interval of the peer's clock is on this
/// node's; nothing within a tenth, as far as adjtimex() slews a clock.
[[nodiscard]] std::optional<control::Warning> clock_warning(const std::string& peer, double ratio,
                                                            Duration interval);

/// What an operator can do about a trouble with an address.
[[nodiscard]] std::string_view remedy(vip::Notice notice);

}  // namespace hamr::daemon
