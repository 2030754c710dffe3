// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

namespace hamr::control {

/// "0.1.0": of this build.
[[nodiscard]] std::string_view version();

inline constexpr const char* default_socket = "/run/hamr/hamrd.sock";
inline constexpr const char* default_config = "/etc/hamr/hamr.yaml";
inline constexpr const char* default_state = "/var/lib/hamr";

}  // namespace hamr::control
