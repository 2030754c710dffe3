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
#include <boost/asio/steady_timer.hpp>

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
        /// Which flows may go on, by all that has been observed; whoever connects now goes where
        /// that leads. After each observation, though it be the same again.
        std::function<void(std::vector<router::Standing>)> standings;
        /// The kernel routes by all that is known now.
        std::function<void()> settled{};
        /// Somebody had removed the rules; they stand again.
        std::function<void()> put_back{};
    };

    RouterService(boost::asio::io_context& io, const config::Config& config, std::string password,
                  HostSettings& settings, Events events);
    ~RouterService();

    /// First ruleset, monitors. `resumed`: the rules of an earlier program of this life stand, and
    /// stay until every server has been asked.
    Result<> start(bool resumed);
    /// The settings stand on other interfaces now; empty when they could be made.
    void settings_changed(const std::string& failure);
    /// To these nothing new is given, to all others again; before start(), or while it runs.
    void drain(const std::set<Endpoint>& draining);
    /// Whether the kernel routes by all that is known; Events::settled tells when it does.
    [[nodiscard]] bool settled() const { return !loaded_.empty() && loaded_ == wanted_; }
    /// Takes the rules away. Blocks for as long as `nft` takes.
    void stop();

    [[nodiscard]] std::vector<router::BackendView> backends() const { return backends_.view(); }
    [[nodiscard]] std::vector<std::string> drained_routes() const {
        return backends_.drained_routes();
    }
    [[nodiscard]] router::Verdict verdict() const;
    [[nodiscard]] const std::vector<router::Warning>& ruleset_warnings() const {
        return ruleset_warnings_;
    }

  private:
    void observed(const Endpoint& server, router::Observation observation);
    void load_rules();
    void look_at_rules();
    void rules_loaded(const std::string& text, const Result<>& result);
    void tell_standings();
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
    boost::asio::steady_timer look_timer_;
    bool removed_ = false;  ///< by somebody else, and not put back yet
    bool stopping_ = false;
};

}  // namespace hamr::daemon
