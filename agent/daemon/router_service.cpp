// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/router_service.hpp"

#include "agent/daemon/local_addresses.hpp"
#include "router/io/flow_rules.hpp"
#include "router/ruleset.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

namespace hamr::daemon {

namespace {

constexpr Duration between_looks = std::chrono::milliseconds(100);

router::BackendsConfig backends_config(const config::Config& config) {
    router::BackendsConfig result;
    result.servers = config.router.backends;
    for (const config::Route& route : config.router.routes) {
        result.routes.push_back({route.name, route.port,
                                 route.to == config::RouteTarget::primary ? router::Role::primary
                                                                          : router::Role::secondary,
                                 true});
    }
    result.roles_by_order = config.router.monitor.user.empty();
    return result;
}

}  // namespace

RouterService::RouterService(boost::asio::io_context& io, const config::Config& config,
                             std::string password, HostSettings& settings, Events events)
    : io_(io),
      config_(config),
      password_(std::move(password)),
      events_(std::move(events)),
      backends_(backends_config(config)),
      nft_(io.get_executor()),
      settings_(settings),
      look_timer_(io) {
    for (const config::Group& group : config.groups) {
        for (const IpPrefix& prefix : group.addresses) vips_.push_back(prefix.address);
    }
}

RouterService::~RouterService() = default;

Result<> RouterService::start(bool resumed) {
    if (resumed) {
        unasked_.insert(config_.router.backends.begin(), config_.router.backends.end());
    } else if (const auto removed = router_io::remove_blocking(); !removed) {
        return removed;
    }
    load_rules();
    look_at_rules();
    for (const Endpoint& server : config_.router.backends) {
        router_io::MonitorConfig monitor;
        monitor.server = server;
        monitor.user = config_.router.monitor.user;
        monitor.password = password_;
        monitor.interval = config_.router.monitor.interval;
        monitor.timeout = config_.router.monitor.timeout;
        monitors_.push_back(std::make_unique<router_io::Monitor>(
            io_.get_executor(), std::move(monitor),
            [this](const Endpoint& from, router::Observation observation) {
                observed(from, std::move(observation));
            }));
        monitors_.back()->start();
    }
    return {};
}

void RouterService::drain(const std::set<Endpoint>& draining) {
    for (const Endpoint& server : config_.router.backends) {
        backends_.drain(server, draining.contains(server));
    }
    if (monitors_.empty() || stopping_) return;  // start() loads the first rules
    load_rules();
    tell_health();
}

void RouterService::stop() {
    stopping_ = true;
    look_timer_.cancel();
    for (const auto& monitor : monitors_) monitor->stop();
    (void)router_io::remove_blocking();
}

void RouterService::observed(const Endpoint& server, router::Observation observation) {
    if (stopping_) return;
    const std::vector<router::Change> changes = backends_.observe(server, std::move(observation));
    for (const router::Change& change : changes) events_.backend_changed(change);
    unasked_.erase(server);
    load_rules();
    tell_standings();
    tell_health();
}

void RouterService::settings_changed(const std::string& failure) {
    if (stopping_) return;
    settings_failure_ = failure;
    events_.trouble(this->failure());
    load_rules();
    tell_health();
}

const std::string& RouterService::failure() const {
    return rules_failure_.empty() ? settings_failure_ : rules_failure_;
}

// Rules -------------------------------------------------------------------------------------------

void RouterService::load_rules() {
    if (!unasked_.empty()) return;
    router::RulesetInput input;
    input.vips = vips_;
    input.routes = backends_.plan();
    router::Guards guards = settings_.guards();
    input.guard_v4 = std::move(guards.v4);
    input.guard_v6 = std::move(guards.v6);
    input.no_redirects = settings_.interfaces();
    router::Ruleset ruleset = router::render(input);
    ruleset_warnings_ = std::move(ruleset.warnings);
    if (ruleset.text == wanted_) return;
    wanted_ = ruleset.text;
    nft_.apply(ruleset.text,
               [this, text = ruleset.text](const Result<>& result) { rules_loaded(text, result); });
}

/// Whoever reloads the host's own firewall flushes ours, too.
void RouterService::look_at_rules() {
    look_timer_.expires_after(between_looks);
    look_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || stopping_) return;
        look_at_rules();
        if (loaded_.empty() || nft_.busy()) return;
        const auto there = router_io::has_table(router::table_name);
        if (!there || *there) return;
        removed_ = true;
        wanted_.clear();
        load_rules();
    });
}

void RouterService::rules_loaded(const std::string& text, const Result<>& result) {
    if (stopping_) return;
    const bool first = loaded_.empty();
    if (result) {
        loaded_ = text;
        rules_failure_.clear();
        if (std::exchange(removed_, false) && events_.put_back) events_.put_back();
    } else {
        rules_failure_ = "the ruleset could not be loaded: " + result.error().message();
        wanted_.clear();  // the next observation tries again
    }
    // Conntrack's settings exist only once its module is there, which the first rules load.
    if (first && result) {
        const auto applied = settings_.apply();
        settings_failure_ = applied ? std::string() : applied.error().message();
    }
    events_.trouble(failure());
    tell_standings();
    tell_health();
    if (settled() && events_.settled) events_.settled();
}

/// Not before the rules are loaded that follow from what is known, or could not be.
void RouterService::tell_standings() {
    if (unasked_.empty() && !nft_.busy()) events_.standings(backends_.standings());
}

// Health ------------------------------------------------------------------------------------------

router::Verdict RouterService::verdict() const {
    router::Verdict verdict = backends_.verdict();
    if (!failure().empty()) {
        verdict.state = router::RouterState::failed;
        verdict.reason = failure();
        verdict.demotion = std::max(verdict.demotion, router::demotion_all_lost);
        verdict.warnings.push_back({failure(),
                                    "see the log of hamrd; `hamr status` shows when it "
                                    "works again"});
    }
    return verdict;
}

void RouterService::tell_health() {
    const router::Verdict now = verdict();
    health::Source source;
    source.name = "router";
    source.demotion = now.demotion;
    source.reason = now.reason;
    source.begun_at = now.begun_at;
    source.urgent = !failure().empty();  // rules that cannot be loaded are this host's own trouble
    events_.health(std::move(source));
}

}  // namespace hamr::daemon
