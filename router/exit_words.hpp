// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <deque>
#include <string>
#include <string_view>

// Words for the end of a router.

namespace hamr::router {

/// "40 ms", "2.1 s", "5 min", "3 h", "12 days".
[[nodiscard]] std::string in_words(Duration duration);

/// The line that tells most of why a router ended at once: the first that names an error (routers
/// sum up afterwards: "Fatal errors found in configuration."), else the last. "" of none.
[[nodiscard]] std::string telling_line(const std::deque<std::string>& lines);

}  // namespace hamr::router
