// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/providers/provider.hpp"

#include <string>
#include <vector>

// What a plan says of listeners, as one readable line each: "rw 0.0.0.0:6446 mysql".

namespace hamr::router::test {

inline const char* word(Listener::Protocol protocol) {
    switch (protocol) {
        case Listener::Protocol::mysql:
            return "mysql";
        case Listener::Protocol::mysql_x:
            return "mysql_x";
        case Listener::Protocol::http:
            return "http";
        case Listener::Protocol::other:
            return "other";
    }
    return "?";
}

inline std::vector<std::string> lines_of(const Plan& plan) {
    std::vector<std::string> lines;
    for (const Listener& one : plan.listeners) {
        lines.push_back(one.name + " " + one.address.to_string() + " " + word(one.protocol));
    }
    return lines;
}

inline ProviderConfig config_of(ProviderKind kind) {
    ProviderConfig config;
    config.kind = kind;
    return config;
}

/// A plan that must come about.
inline Plan plan_of(const ProviderConfig& config, std::string_view text) {
    return make_plan(config, text).value();
}

}  // namespace hamr::router::test
