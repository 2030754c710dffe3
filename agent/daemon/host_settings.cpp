// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/host_settings.hpp"

#include "agent/daemon/local_addresses.hpp"

#include <algorithm>
#include <set>

namespace hamr::daemon {

HostSettings::HostSettings(const config::Config& config, std::string record, std::string root)
    : config_(config), kind_(config.router.kind), store_(std::move(record), std::move(root)) {}

Result<> HostSettings::restore() {
    const auto restored = store_.restore();
    if (!restored) return tl::unexpected(restored.error());
    return {};
}

std::vector<std::string> HostSettings::interfaces_in_use(const vip::Links& links) const {
    std::set<std::string> names;
    const auto add = [&](const auto& matches) {
        for (const auto& [index, link] : links.all()) {
            if (link.seen.loopback) continue;
            if (std::any_of(link.addresses.begin(), link.addresses.end(), matches)) {
                names.insert(link.seen.name);
            }
        }
    };
    for (const config::Group& group : config_.groups) {
        if (group.interface && links.find(std::string_view(*group.interface)) != nullptr) {
            names.insert(*group.interface);
        }
        for (const IpPrefix& vip : group.addresses) {
            add([&](const IpPrefix& prefix) {
                return prefix.address != vip.address && prefix.contains(vip.address);
            });
        }
    }
    for (const Endpoint& backend : config_.router.backends) {
        const auto source = source_towards(backend.address);
        if (source) add([&](const IpPrefix& prefix) { return prefix.address == *source; });
    }
    return {names.begin(), names.end()};
}

bool HostSettings::links_changed(const vip::Links& links) {
    std::vector<std::string> names = interfaces_in_use(links);
    if (names == interfaces_) return false;
    interfaces_ = std::move(names);
    return true;
}

router::SysctlInput HostSettings::input() const {
    router::SysctlInput input;
    input.interfaces = interfaces_;
    for (const config::Group& group : config_.groups) {
        for (const IpPrefix& prefix : group.addresses) {
            input.ipv6 = input.ipv6 || !prefix.address.is_v4();
        }
    }
    input.force_forwarding =
        !interfaces_.empty() &&
        store_.exists("net/ipv6/conf/" + interfaces_.front() + "/force_forwarding");
    return input;
}

std::vector<router::Sysctl> HostSettings::wanted() const {
    if (kind_ == config::RouterKind::embedded) return router::embedded_router_sysctls(input());
    std::vector<router::Sysctl> settings = router::address_sysctls(interfaces_);
    if (kind_ == config::RouterKind::supervised) {
        for (router::Sysctl& setting : router::tracking_sysctls()) {
            settings.push_back(std::move(setting));
        }
    }
    return settings;
}

Result<> HostSettings::apply() {
    const auto applied = store_.apply(wanted());
    if (!applied) return tl::unexpected(applied.error());
    return {};
}

router::Guards HostSettings::guards() const {
    const auto originals = store_.originals();
    if (!originals) return {};
    return router::forward_guards(input(), *originals);
}

}  // namespace hamr::daemon
