// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// What a stranger said (a server, a script), made fit for a log line, JSON and a terminal. Pure.

namespace hamr::health {

/// One line of valid UTF-8: runs of white space become one blank, ends are trimmed, other control
/// characters and broken sequences become '?'. More than `limit` bytes (at least 4) are cut at a
/// character and end in "...".
[[nodiscard]] std::string printable(std::string_view raw, std::size_t limit);

}  // namespace hamr::health
