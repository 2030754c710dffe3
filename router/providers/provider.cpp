// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/provider.hpp"

#include "router/providers/kinds.hpp"

#include <utility>

namespace hamr::router {

std::string_view to_string(ProviderKind kind) {
    switch (kind) {
        case ProviderKind::mysqlrouter:
            return "mysqlrouter";
        case ProviderKind::haproxy:
            return "haproxy";
        case ProviderKind::proxysql:
            return "proxysql";
        case ProviderKind::systemd:
            return "systemd";
        case ProviderKind::command:
            return "command";
    }
    return "?";
}

std::string config_path(const ProviderConfig& config) {
    if (!config.config.empty()) return config.config;
    switch (config.kind) {
        case ProviderKind::mysqlrouter:
            return "/etc/mysqlrouter/mysqlrouter.conf";
        case ProviderKind::haproxy:
            return "/etc/haproxy/haproxy.cfg";
        case ProviderKind::proxysql:
            return "/etc/proxysql.cnf";
        case ProviderKind::systemd:
        case ProviderKind::command:
            break;
    }
    return {};
}

std::string program_of(const ProviderConfig& config, std::string_view usual) {
    return config.program.empty() ? std::string(usual) : config.program;
}

void add_listener(Plan& plan, Listener listener) {
    if (plan.listeners.size() < max_listeners) plan.listeners.push_back(std::move(listener));
}

void warn_without_listener(const ProviderConfig& config, std::string_view what, Plan& plan) {
    if (!plan.listeners.empty()) return;
    plan.warnings.push_back(config_path(config) + " has no " + std::string(what) +
                            ": write checks under `health:`, or its process is all that is "
                            "watched");
}

namespace {

Result<> fill(const ProviderConfig& config, std::string_view file, Plan& plan) {
    switch (config.kind) {
        case ProviderKind::mysqlrouter:
            return plan_mysqlrouter(config, file, plan);
        case ProviderKind::haproxy:
            return plan_haproxy(config, file, plan);
        case ProviderKind::proxysql:
            return plan_proxysql(config, file, plan);
        case ProviderKind::systemd:
            return plan_systemd(config, file, plan);
        case ProviderKind::command:
            return plan_command(config, file, plan);
    }
    return fail("an unknown kind of router");
}

}  // namespace

Result<Plan> make_plan(const ProviderConfig& config, std::string_view file) {
    Plan plan;
    plan.name = std::string(to_string(config.kind));
    plan.user = config.user;
    if (Result<> filled = fill(config, file, plan); !filled) {
        return tl::unexpected<Error>(std::move(filled.error()));
    }
    const auto append = [&](std::vector<std::string>& argv) {
        if (argv.empty()) return;
        argv.insert(argv.end(), config.arguments.begin(), config.arguments.end());
    };
    append(plan.argv);
    append(plan.judge);
    return plan;
}

}  // namespace hamr::router
