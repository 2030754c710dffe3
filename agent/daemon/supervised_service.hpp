// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/control/model.hpp"
#include "agent/daemon/health_service.hpp"
#include "health/verdict.hpp"
#include "router/io/supervisor.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// The supervised router of this host: decides when it shall run, starts its checks with it, and
// says what its process means for this host's health.
//
// A crash is told at once and counts until the checks have seen the router serve again, so that a
// healthy peer leads in the meantime. Threading: the work loop.

namespace hamr::daemon {

class SupervisedService {
  public:
    struct Events {
        /// The source "router".
        std::function<void(health::Source)> health;
        /// For history and warnings: it ended by itself, it fails (empty: it runs again).
        std::function<void(const std::string& reason)> crashed;
        std::function<void(const std::string& what)> trouble;
    };

    SupervisedService(boost::asio::io_context& io, const config::Config& config, router::Plan plan,
                      std::string state_file, HealthService& checks, Events events);

    /// `drained`: it shall not run until this node leads, or resume().
    Result<> start(bool drained, bool leads);
    void leads(bool any);
    void finish(BootTime deadline);
    void resume();
    /// While it finishes: ends it once its connections are gone, where it does not end by itself.
    /// True when it does not run any more.
    bool settle_finish();
    /// Client connections with its ports, on this host; 0 when its ports are not known.
    [[nodiscard]] std::uint64_t connections() const;
    /// Every check is up.
    void serves() { supervisor_->serves(); }
    void reload(std::function<void(Result<>)> done);
    /// A clean end: `done` once it does not run any more.
    void stop(std::function<void()> done);

    [[nodiscard]] const router::Plan& plan() const { return plan_; }
    /// state, reason, process.
    void show(control::RouterStatus& status) const;

  private:
    void obey();
    /// Where clients come in: what its configuration says, and what the checks ask.
    [[nodiscard]] std::vector<std::uint16_t> ports() const;
    void changed(const router_io::SupervisorStatus& status);
    void tell();
    [[nodiscard]] health::Source opinion(const router_io::SupervisorStatus& status) const;
    [[nodiscard]] bool wanted() const;
    [[nodiscard]] bool follows_leadership() const;
    void wait_to_serve();
    void forget_crash_later();

    const config::Config& config_;
    router::Plan plan_;
    HealthService& checks_;
    Events events_;
    boost::asio::steady_timer timer_;
    std::unique_ptr<router_io::Supervisor> supervisor_;
    bool leads_ = false;
    bool drained_ = false;
    bool stopping_ = false;
    bool on_ = false;  ///< wanted, as last told
    int checked_pid_ = 0;
    /// Why it ended; until it serves again, or for a while on a host where it need not run.
    std::string crash_;
};

}  // namespace hamr::daemon
