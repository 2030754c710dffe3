// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/daemon/host_settings.hpp"
#include "health/verdict.hpp"
#include "router/backends.hpp"
#include "router/io/monitor.hpp"
#include "router/io/nft.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

// The embedded router of this host: watches the backends, loads the ruleset when the answer to
// "which backends does each route lead to" changes, and says whether this host can serve.
//
// The rules stand on every router host, leader or not: without the address no packet meets them,
// and a takeover has nothing to load. Threading: the work loop.

namespace hamr::daemon {

class RouterService {
  public:
    struct Events {
        std::function<void(health::Source)> health;
        std::function<void(const router::Change&)> backend_changed;
        /// Something failed or works again (empty what): for the log and the warnings.
        std::function<void(const std::string& what)> trouble;
    };

    RouterService(boost::asio::io_context& io, const config::Config& config, std::string password,
                  HostSettings& settings, Events events);
    ~RouterService();

    /// First ruleset, monitors. `resumed`: the rules of an earlier program of this life stand, and
    /// stay until every server has been asked.
    Result<> start(bool resumed);
    /// The settings stand on other interfaces now; empty when they could be made.
    void settings_changed(const std::string& failure);
    /// Takes the rules away. Blocks for as long as `nft` takes.
    void stop();

    [[nodiscard]] std::vector<router::BackendView> backends() const { return backends_.view(); }
    [[nodiscard]] router::Verdict verdict() const;
    [[nodiscard]] const std::vector<router::Warning>& ruleset_warnings() const {
        return ruleset_warnings_;
    }

  private:
    void observed(const Endpoint& server, router::Observation observation);
    void load_rules();
    void rules_loaded(const std::string& text, const Result<>& result);
    void tell_health();
    [[nodiscard]] const std::string& failure() const;

    boost::asio::io_context& io_;
    const config::Config& config_;
    std::string password_;
    Events events_;
    router::Backends backends_;
    router_io::Nft nft_;
    HostSettings& settings_;
    std::vector<std::unique_ptr<router_io::Monitor>> monitors_;
    std::vector<IpAddress> vips_;
    std::string wanted_;  ///< the newest ruleset asked for
    std::string loaded_;  ///< the ruleset that the kernel has
    std::string rules_failure_;
    std::string settings_failure_;
    std::vector<router::Warning> ruleset_warnings_;
    std::set<Endpoint> unasked_;  ///< whose answers the standing rules wait for
    bool stopping_ = false;
};

}  // namespace hamr::daemon
