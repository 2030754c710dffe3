// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/changes.hpp"

#include <algorithm>
#include <string_view>

#include <spdlog/fmt/fmt.h>

namespace hamr::daemon {

namespace {

using Words = std::vector<std::string>;

std::string milliseconds(Duration time) {
    return fmt::format("{:g} ms", to_ms(time));
}

template <class Named>
const Named* find(const std::vector<Named>& list, const std::string& name) {
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const Named& each) { return each.name == name; });
    return found == list.end() ? nullptr : &*found;
}

void nodes(const config::Config& now, const config::Config& next, Words& words) {
    for (const config::Node& node : next.nodes) {
        const config::Node* before = find(now.nodes, node.name);
        if (before == nullptr) {
            words.push_back(node.name + " joins");
            continue;
        }
        if (before->addresses != node.addresses) {
            words.push_back(node.name + " has other addresses");
        }
        if (before->role != node.role) {
            words.push_back(node.name + " is a " + std::string(config::to_string(node.role)));
        }
    }
    for (const config::Node& node : now.nodes) {
        if (find(next.nodes, node.name) == nullptr) words.push_back(node.name + " leaves");
    }
}

void heartbeat(const config::Config& now, const config::Config& next, Words& words) {
    if (now.effective_mode() != next.effective_mode()) {
        words.push_back(fmt::format("quorum {}, now {}", config::to_string(now.effective_mode()),
                                    config::to_string(next.effective_mode())));
    }
    if (now.heartbeat.interval != next.heartbeat.interval) {
        words.push_back(fmt::format("interval {}, now {}", milliseconds(now.heartbeat.interval),
                                    milliseconds(next.heartbeat.interval)));
    }
    if (now.heartbeat.misses != next.heartbeat.misses) {
        words.push_back(
            fmt::format("misses {}, now {}", now.heartbeat.misses, next.heartbeat.misses));
    }
    if (now.heartbeat.port != next.heartbeat.port) {
        words.push_back(fmt::format("port {}, now {}", now.heartbeat.port, next.heartbeat.port));
    }
}

void groups(const config::Config& now, const config::Config& next, Words& words) {
    for (const config::Group& group : next.groups) {
        const config::Group* before = find(now.groups, group.name);
        if (before == nullptr) {
            words.push_back("group " + group.name + " is new");
        } else if (before->addresses != group.addresses || before->interface != group.interface) {
            words.push_back("group " + group.name + " has other addresses");
        } else if (*before != group) {
            words.push_back("group " + group.name + " is set otherwise");
        }
    }
    for (const config::Group& group : now.groups) {
        if (find(next.groups, group.name) == nullptr) {
            words.push_back("group " + group.name + " is gone");
        }
    }
}

void router(const Inputs& now, const Inputs& next, Words& words) {
    const config::Router& before = now.config.router;
    const config::Router& after = next.config.router;
    const std::size_t told = words.size();
    if (before.backends != after.backends) words.emplace_back("other backends");
    if (before.routes != after.routes) words.emplace_back("other routes");
    if (before.monitor != after.monitor || now.monitor_password != next.monitor_password) {
        words.emplace_back("another monitor account");
    }
    if (before != after && words.size() == told) words.emplace_back("the router is set otherwise");
}

}  // namespace

std::vector<std::string> changes(const Inputs& now, const Inputs& next) {
    Words words;
    nodes(now.config, next.config, words);
    heartbeat(now.config, next.config, words);
    groups(now.config, next.config, words);
    router(now, next, words);
    if (now.config.health != next.config.health) words.emplace_back("other health checks");
    if (now.keys != next.keys) words.emplace_back("other keys");
    if (words.empty() && now.config != next.config) words.emplace_back("other settings");
    return words;
}

}  // namespace hamr::daemon
