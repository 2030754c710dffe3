// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/control/handler.hpp"
#include "agent/control/server.hpp"
#include "agent/daemon/history.hpp"
#include "agent/daemon/host_settings.hpp"
#include "agent/daemon/pulse.hpp"
#include "agent/daemon/router_service.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

// The work loop: control API, router, history, log, signals, and where the gate stands.
//
// Threading: one thread runs the io_context. The pulse loop is asked and told by post(); the only
// wait is status(), which gives the pulse loop a second to answer and says so if it does not.

namespace hamr::daemon {

struct WorkOptions {
    std::string socket;
    std::string run_directory;
    std::string node;
    /// What is not as it should be from the start: "no real-time priority", …
    std::vector<control::Warning> warnings;
};

class Work : public control::Handler {
  public:
    Work(boost::asio::io_context& io, const config::Config& config, WorkOptions options,
         vip::Gate& gate);
    ~Work() override;

    /// What the pulse loop is to call; every call arrives here by post().
    [[nodiscard]] Listener listener();
    /// Before run(), once the pulse is open.
    void set_pulse(Pulse& pulse) { pulse_ = &pulse; }

    /// Router, control socket, signals.
    Result<> start(const std::string& monitor_password);
    void run();
    /// After the pulse has ended: rules, settings and the gate go.
    void clean_up();

    control::Status status() override;
    std::vector<control::HistoryEntry> history() override;
    void failover(control::FailoverRequest request,
                  std::function<void(control::FailoverAnswer)> done) override;

  private:
    struct Order;

    void note(const election::Transition& transition);
    void note_report(const std::string& group, const vip::Report& report);
    void guard(vip::InterfaceIndex index);
    void apply_settings(const vip::Links& links);
    [[nodiscard]] bool is_router() const;
    void moved(std::uint32_t id, election::AskResult result, election::NodeId target);
    void finish(const std::shared_ptr<Order>& order, std::string group, election::AskResult result,
                const std::string& target);
    void wait_for_signals();
    void stop();
    [[nodiscard]] control::WallTime wall_time(BootTime at) const;
    /// Troubles with the addresses of a group end when it is announced, or not held any more.
    void addresses_well(const std::string& group);
    void trouble(const std::string& key, const std::string& what, const std::string& remedy);
    [[nodiscard]] std::optional<PulseStatus> ask_pulse();

    boost::asio::io_context& io_;
    const config::Config& config_;
    WorkOptions options_;
    vip::Gate& gate_;
    Pulse* pulse_ = nullptr;
    History history_;
    boost::asio::signal_set signals_;
    HostSettings settings_;
    std::unique_ptr<RouterService> router_;
    std::unique_ptr<control::Server> server_;
    std::map<std::string, std::string> states_;  ///< by group: this node's, as last told
    std::map<std::string, control::Warning> troubles_;
    mutable Duration wall_offset_{};  ///< from CLOCK_BOOTTIME to the time of day
    struct Pending {
        std::shared_ptr<Order> order;
        std::string group;
    };
    std::map<std::uint32_t, Pending> pending_;
    bool stopping_ = false;
};

}  // namespace hamr::daemon
