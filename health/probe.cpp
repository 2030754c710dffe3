// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/probe.hpp"

#include <array>

namespace hamr::health {

std::string_view kind_of(const ProbeSpec& probe) {
    constexpr std::array<std::string_view, std::variant_size_v<ProbeSpec>> kinds{
        "process", "tcp", "mysql", "http", "command"};
    return kinds.at(probe.index());
}

}  // namespace hamr::health
