// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/flow_service.hpp"

#include "agent/daemon/translate.hpp"
#include "election/auth.hpp"
#include "router/io/connections.hpp"
#include "router/io/nft.hpp"

#include <utility>

#include <spdlog/spdlog.h>

namespace hamr::daemon {

namespace {

router_io::FlowSyncConfig sync_config(const Inputs& inputs) {
    const config::Config& config = inputs.config;
    const std::uint16_t port = config.heartbeat.port;
    router_io::FlowSyncConfig sync;
    // The embedded router's own rules make the kernel track.
    sync.replicas = config.router.kind == config::RouterKind::embedded;
    sync.load_rules = !sync.replicas;
    sync.self = inputs.node().name;
    sync.own = endpoints(inputs.node(), port);
    for (const config::Node& node : config.nodes) {
        if (node.role == config::NodeRole::router && node.name != sync.self) {
            sync.peers.push_back({node.name, endpoints(node, port)});
        }
    }
    for (const config::Key& key : inputs.keys) {
        sync.keys.push_back(
            {key.id, election::derive_key({key.id, key.bytes}, election::KeyUse::flows)});
    }
    sync.groups = group_addresses(config);
    return sync;
}

}  // namespace

FlowService::FlowService(boost::asio::io_context& io, const Inputs& inputs, Trouble trouble,
                         Orders orders, Reset reset)
    : config_(inputs.config),
      embedded_(inputs.config.router.kind == config::RouterKind::embedded),
      trouble_(trouble),
      sync_(io.get_executor(), sync_config(inputs),
            {std::move(trouble), [](const std::string& text) { spdlog::info("flows: {}", text); },
             std::move(orders),
             [this, reset = std::move(reset)](std::size_t group, const std::string& text) {
                 spdlog::warn("flows: group={} {}", config_.groups[group].name, text);
                 if (reset) reset(config_.groups[group].name, text);
             }}) {}

Result<> FlowService::start() {
    if (!embedded_) {
        if (const auto removed = router_io::remove_blocking(); !removed) return removed;
    }
    return sync_.start();
}

void FlowService::stop() {
    sync_.stop();
    if (!embedded_) (void)router_io::remove_blocking();
}

std::optional<std::size_t> FlowService::index_of(const std::string& group) const {
    for (std::size_t index = 0; index < config_.groups.size(); ++index) {
        if (config_.groups[index].name == group) return index;
    }
    return std::nullopt;
}

void FlowService::led(const std::string& group) {
    // A supervised router's clients are reset as the address: not before it is announced.
    if (embedded_) announced(group);
}

void FlowService::announced(const std::string& group) {
    if (const auto index = index_of(group)) sync_.lead(*index, true);
}

void FlowService::left(const std::string& group) {
    if (const auto index = index_of(group)) sync_.lead(*index, false);
}

void FlowService::led_by_other(const std::string& group) {
    const auto index = index_of(group);
    if (!index) return;
    for (const IpPrefix& vip : config_.groups[*index].addresses) {
        const auto ended = router_io::destroy_connections(vip.address);
        const std::string key = "connections " + vip.address.to_string();
        if (!ended) {
            trouble_(key,
                     "connections of the address that moved away go on waiting here: " +
                         ended.error().message(),
                     "the router's own time-outs end them; restart it if they hold locks");
            continue;
        }
        trouble_(key, {}, {});
        if (*ended > 0) {
            spdlog::info("flows: ended {} connections of {}, which another node has now", *ended,
                         vip.address.to_string());
        }
    }
}

void FlowService::count(std::vector<control::BackendStatus>& backends) const {
    const auto counts = sync_.by_backend();
    for (control::BackendStatus& backend : backends) {
        const auto endpoint = Endpoint::parse(backend.address);
        const auto found = endpoint ? counts.find(*endpoint) : counts.end();
        if (found != counts.end()) backend.flows = found->second;
    }
}

control::FlowsStatus FlowService::status() const {
    const router_io::FlowSyncStatus sync = sync_.status();
    control::FlowsStatus status;
    status.own = sync.own;
    status.replicas = sync.replicas;
    status.missed = sync.missed;
    status.refused = sync.refused;
    status.waiting = sync.waiting;
    status.entries = sync.kernel.count;
    status.most_entries = sync.kernel.most;
    status.dropped = sync.kernel.dropped;
    for (const router_io::FlowPeerStatus& stream : sync.streams) {
        status.streams.push_back(
            {stream.name, stream.state, stream.lag_ms, stream.delay_ms, stream.resyncs});
    }
    return status;
}

}  // namespace hamr::daemon
