// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/default_checks.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>

namespace hamr::daemon {

namespace {

IpAddress reachable(const IpAddress& bound) {
    if (!bound.is_unspecified()) return bound;
    std::array<std::uint8_t, 16> loopback6{};
    loopback6.back() = 1;
    return bound.is_v4() ? IpAddress::v4({127, 0, 0, 1}) : IpAddress::v6(loopback6);
}

bool floats(const config::Config& config, const IpAddress& address) {
    return std::any_of(config.groups.begin(), config.groups.end(), [&](const config::Group& group) {
        return std::any_of(group.addresses.begin(), group.addresses.end(),
                           [&](const IpPrefix& vip) { return vip.address == address; });
    });
}

std::optional<health::ProbeSpec> probe_of(router::Listener::Protocol protocol,
                                          const Endpoint& target) {
    switch (protocol) {
        case router::Listener::Protocol::mysql: {
            health::MysqlProbe probe;
            probe.target = target;
            return probe;
        }
        case router::Listener::Protocol::mysql_x:
            return health::TcpProbe{target};
        case router::Listener::Protocol::http:
        case router::Listener::Protocol::other:
            return std::nullopt;
    }
    return std::nullopt;
}

health::CheckSpec named(std::string name, health::ProbeSpec probe) {
    health::CheckSpec spec;
    spec.name = std::move(name);
    spec.probe = std::move(probe);
    return spec;
}

std::vector<health::CheckSpec> default_checks(const config::Config& config,
                                              const router::Plan& plan) {
    const router::ProviderConfig& provider = config.router.provider;
    std::vector<health::CheckSpec> checks;
    std::set<Endpoint> targets;
    std::set<std::string> names;
    for (const router::Listener& listener : plan.listeners) {
        const bool elsewhere =
            floats(config, listener.address.address) && provider.start != router::StartWhen::leader;
        const Endpoint target{reachable(listener.address.address), listener.address.port};
        const auto probe = probe_of(listener.protocol, target);
        if (elsewhere || !probe || !targets.insert(target).second) continue;
        std::string name = listener.name;
        if (!names.insert(name).second) name += " " + target.to_string();
        if (checks.size() < config::limits::checks) checks.push_back(named(name, *probe));
    }
    if (provider.kind == router::ProviderKind::proxysql && plan.admin.address) {
        health::MysqlProbe probe;
        probe.target = *plan.admin.address;
        probe.user = plan.admin.user;
        probe.password = plan.admin.password;
        probe.query = "SELECT hostname FROM runtime_mysql_servers WHERE status = 'ONLINE' LIMIT 1";
        checks.push_back(named("servers online", probe));
    }
    return checks;
}

}  // namespace

std::vector<health::CheckSpec> checks_of(const config::Config& config, const router::Plan* plan) {
    if (config.health.empty() && plan != nullptr) return default_checks(config, *plan);
    std::vector<health::CheckSpec> checks;
    for (const config::HealthCheck& check : config.health) checks.push_back(check.spec);
    return checks;
}

}  // namespace hamr::daemon
