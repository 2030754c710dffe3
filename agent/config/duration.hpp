// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <optional>
#include <string>
#include <string_view>

// Durations as people write them: "250us", "100ms", "1.5s", "2m". A unit is always there.

namespace hamr::config {

/// Digits, at most one decimal point, and a unit (us, ms, s, m); at most 100 days. Nothing else.
std::optional<Duration> parse_duration(std::string_view text);

/// The shortest exact form in the largest fitting unit: 1500ms, 2s, 1m.
std::string format_duration(Duration duration);

}  // namespace hamr::config
