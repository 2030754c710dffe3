// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/ruleset.hpp"

namespace hamr::router {

/// One of everything: both families, one and several backends, a family without backends, guards.
inline RulesetInput sample_ruleset() {
    const auto address = [](const char* text) { return *IpAddress::parse(text); };
    const auto backend = [](const char* text) { return *Endpoint::parse(text); };
    RulesetInput input;
    input.vips = {address("192.0.2.101"), address("2001:db8::100"), address("192.0.2.100")};
    input.routes = {{"rw", 6446, {backend("198.51.100.21:3306"), backend("[2001:db8:1::21]:3306")}},
                    {"ro", 6447, {backend("198.51.100.22:3306"), backend("198.51.100.23:3306")}}};
    input.guard_v4 = {"eth0", "eth1.7"};
    input.guard_v6 = {"*"};
    input.no_redirects = {"eth0"};
    return input;
}

}  // namespace hamr::router
