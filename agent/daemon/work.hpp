// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/control/handler.hpp"
#include "agent/control/server.hpp"
#include "agent/daemon/backend_drainer.hpp"
#include "agent/daemon/drainer.hpp"
#include "agent/daemon/failover_orders.hpp"
#include "agent/daemon/files.hpp"
#include "agent/daemon/flow_service.hpp"
#include "agent/daemon/health_service.hpp"
#include "agent/daemon/history.hpp"
#include "agent/daemon/host_settings.hpp"
#include "agent/daemon/inputs.hpp"
#include "agent/daemon/pulse.hpp"
#include "agent/daemon/restart.hpp"
#include "agent/daemon/router_service.hpp"
#include "agent/daemon/service_manager.hpp"
#include "agent/daemon/supervised_service.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

// The work loop: control API, router, checks, drain, history, log, signals, and where the gate
// stands.
//
// Threading: one thread runs the io_context. The pulse loop is asked and told by post(); the only
// wait is status(), which gives the pulse loop a second to answer and says so if it does not.

namespace hamr::daemon {

struct WorkOptions {
    std::string socket;
    Files files;
    std::string drained_file;
    std::string backends_file;
    Restarter::CommandLine command;
    /// An earlier program of this life has left rules, settings and a router: they stay as they are
    /// until there is something better.
    bool resumed = false;
    /// A supervised router is to reload its configuration, since the agent has done so.
    bool reload_router = false;
};

class Work : public control::Handler {
  public:
    /// `inputs` outlives it.
    Work(boost::asio::io_context& io, const Inputs& inputs, WorkOptions options, vip::Gate& gate);
    ~Work() override;

    /// What the pulse loop is to call; every call arrives here by post().
    [[nodiscard]] Listener listener();
    /// Before run(), once the pulse is open.
    void set_pulse(Pulse& pulse) { pulse_ = &pulse; }

    /// What an earlier program of this life knew. Before start().
    void resume(const election::Status& status);

    /// Router, checks, control socket, signals.
    Result<> start();
    /// The same, on the work loop's own thread; what fails ends the agent as a signal would.
    void start_or_stop();
    void run();
    /// After the pulse has ended: rules, settings and the gate go.
    void clean_up();

    control::Status status() override;
    std::vector<control::HistoryEntry> history() override;
    void failover(control::FailoverRequest request,
                  std::function<void(control::FailoverAnswer)> done) override;
    void drain(control::DrainRequest request, std::function<void(control::Answer)> done) override;
    void drain_backend(control::BackendRequest request,
                       std::function<void(control::BackendAnswer)> done) override;
    void reload(control::ReloadRequest request, std::function<void(control::Answer)> done) override;
    void restart(std::function<void(control::Answer)> done) override;

  private:
    [[nodiscard]] Restarter::Hands restart_hands();
    void start_resumed();
    /// A supervised router's own reload, if there is one.
    void reload_router(std::function<void(control::Answer)> done);
    /// Once these voters have counted for as long as a promise lasts (members_note.hpp).
    void note_voters_later();
    [[nodiscard]] bool leads_any() const;
    void note(const election::Transition& transition);
    void note_report(const std::string& group, const vip::Report& report);
    /// Puts the gate on an interface where it does not stand; if it `stood`, somebody took it off.
    void guard(vip::InterfaceIndex index, bool stood);
    void apply_settings(const vip::Links& links);
    void put_settings();
    void start_checks();
    Result<> start_embedded();
    Result<> start_supervised();
    void start_flows();
    void start_drainer();
    void start_backend_drainer();
    void set_health(health::Source source);
    /// Whether this node leads a group may have changed.
    void leadership_changed();
    /// Something that happened here and concerns every group.
    void note_event(const std::string& reason);
    void note_event(const std::string& group, const std::string& reason);
    /// After a reload its configuration may name other ports to check.
    void look_for_new_ports();
    void tell_manager();
    void ask_failover(const std::string& group, election::NodeId target, bool force,
                      std::function<void(std::uint32_t id)> asked);
    void wait_for_signals();
    void stop();
    void pulse_stopped();
    [[nodiscard]] control::WallTime wall_time(BootTime at) const;
    /// Troubles with the addresses of a group end when it is announced, or not held any more.
    void addresses_well(const std::string& group);
    void trouble(const std::string& key, const std::string& what, const std::string& remedy);
    [[nodiscard]] std::optional<PulseStatus> ask_pulse();

    boost::asio::io_context& io_;
    const Inputs& inputs_;
    const config::Config& config_;
    const std::string& node_;  ///< this one's name
    WorkOptions options_;
    vip::Gate& gate_;
    Pulse* pulse_ = nullptr;
    History history_;
    boost::asio::signal_set signals_;
    ServiceManager manager_;
    HostSettings settings_;
    FailoverOrders orders_;
    Restarter restarter_;
    boost::asio::steady_timer voters_timer_;
    BootTime started_ = BootClock::now();
    std::unique_ptr<HealthService> checks_;
    std::unique_ptr<RouterService> router_;
    std::unique_ptr<SupervisedService> supervised_;
    std::unique_ptr<FlowService> flows_;
    std::unique_ptr<Drainer> drainer_;
    std::unique_ptr<BackendDrainer> backend_drainer_;
    std::unique_ptr<control::Server> server_;
    std::map<std::string, std::string> states_;   ///< by group: this node's, as last told
    std::map<std::string, std::string> leaders_;  ///< by group: who leads, as last told
    std::map<std::string, control::Warning> troubles_;
    mutable Duration wall_offset_{};  ///< from CLOCK_BOOTTIME to the time of day
    bool stopping_ = false;
};

}  // namespace hamr::daemon
