// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/kinds.hpp"

#include <algorithm>
#include <array>

// A unit of systemd runs the router: systemd starts, reloads and stops it in the unit's own way,
// and knows its processes. Nothing is known of its listeners.

namespace hamr::router {

namespace {

bool has_suffix(std::string_view unit) {
    // The types that can be started and stopped like a service.
    constexpr std::array<std::string_view, 3> types{".service", ".target", ".slice"};
    return std::any_of(types.begin(), types.end(),
                       [&](std::string_view type) { return unit.ends_with(type); });
}

}  // namespace

Result<> plan_systemd(const ProviderConfig& config, std::string_view /*file*/, Plan& plan) {
    if (config.unit.empty()) {
        return fail(
            "a router of kind systemd needs `unit`: write the unit's name, such as "
            "unit: haproxy.service");
    }
    if (config.unit.find('/') != std::string::npos) {
        return fail("unit: '" + config.unit +
                    "' is a path: write the unit's name, such as haproxy.service");
    }
    plan.unit = has_suffix(config.unit) ? config.unit : config.unit + ".service";
    plan.name = plan.unit;
    return {};
}

}  // namespace hamr::router
