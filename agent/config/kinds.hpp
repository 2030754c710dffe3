// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

// The words for kinds as they stand in the file. Private to this room.

namespace hamr::config {

/// What `router.kind` may be. From `first_supervised` on: router::ProviderKind in its order.
inline constexpr std::array<std::string_view, 7> router_kinds{
    "embedded", "none", "mysqlrouter", "haproxy", "proxysql", "systemd", "command"};
inline constexpr std::size_t first_supervised = 2;

/// What a check's `kind` may be, in the order of health::ProbeSpec.
inline constexpr std::array<std::string_view, 5> check_kinds{"process", "tcp", "mysql", "http",
                                                             "command"};

}  // namespace hamr::config
