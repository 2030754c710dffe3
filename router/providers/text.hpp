// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Small tools for reading other programs' configuration files. Nothing throws; what is not
// understood is nothing.

namespace hamr::router {

/// Without blanks, tabs and carriage returns at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);
/// ASCII only.
[[nodiscard]] std::string lower(std::string_view text);
/// The pieces between separators; one piece for a text without any.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
/// 1 – 65535 in decimal digits.
[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text);
/// "ADDRESS:PORT", numeric: IPv6 with or without brackets, the port being what follows the last
/// colon.
[[nodiscard]] std::optional<Endpoint> parse_listen(std::string_view text);

/// Takes the next line off `text`; false when none is left.
[[nodiscard]] bool next_line(std::string_view& text, std::string_view& line);

}  // namespace hamr::router
