// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/supervised_service.hpp"

#include "agent/daemon/status_page.hpp"
#include "router/io/connections.hpp"

#include <chrono>
#include <utility>
#include <variant>
#include <vector>

#include <spdlog/spdlog.h>

namespace hamr::daemon {

namespace {

using router_io::RunState;

/// Worse than anything that a check may weigh by default.
constexpr std::uint32_t demotion_down = 1000;
/// Not yet seen to serve.
constexpr std::uint32_t demotion_starting = 300;
/// A router that crashed here lately and does not run now, since this host does not lead.
constexpr std::uint32_t demotion_crashed = 100;
constexpr Duration crash_memory = std::chrono::seconds{60};
/// Without any check, a router that has lived that long is taken to serve.
constexpr Duration unchecked_start = std::chrono::seconds{1};

bool runs(RunState state) {
    return state == RunState::starting || state == RunState::running;
}

}  // namespace

SupervisedService::SupervisedService(boost::asio::io_context& io, const config::Config& config,
                                     router::Plan plan, std::string state_file,
                                     HealthService& checks, Events events)
    : config_(config),
      plan_(std::move(plan)),
      checks_(checks),
      events_(std::move(events)),
      timer_(io) {
    router_io::Supervisor::Events of_supervisor;
    of_supervisor.changed = [this](const router_io::SupervisorStatus& status) { changed(status); };
    of_supervisor.crashed = [this](const std::string& reason) {
        crash_ = reason;
        tell();
        events_.crashed(reason);
    };
    of_supervisor.output = [name = plan_.name](std::string_view line) {
        spdlog::info("{}: {}", name, line);
    };
    supervisor_ =
        std::make_unique<router_io::Supervisor>(io.get_executor(), config_.router.provider, plan_,
                                                std::move(state_file), std::move(of_supervisor));
}

bool SupervisedService::follows_leadership() const {
    return config_.router.provider.start == router::StartWhen::leader;
}

bool SupervisedService::wanted() const {
    return leads_ || (!drained_ && !follows_leadership());
}

Result<> SupervisedService::start(bool drained, bool leads) {
    drained_ = drained;
    leads_ = leads;
    if (const auto started = supervisor_->start(); !started) return started;
    obey();
    tell();
    return {};
}

void SupervisedService::obey() {
    on_ = wanted();
    supervisor_->want(on_);
    if (on_ == checks_.paused()) {
        if (on_) {
            checks_.start(config_.router.provider.start_timeout);
        } else {
            checks_.pause();
        }
    }
}

void SupervisedService::leads(bool any) {
    leads_ = any;
    if (stopping_) return;
    if (wanted() != on_) obey();
    tell();
    if (!on_ && !crash_.empty()) forget_crash_later();
}

void SupervisedService::forget_crash_later() {
    timer_.expires_after(crash_memory);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || on_) return;
        crash_.clear();
        tell();
    });
}

void SupervisedService::finish(BootTime deadline) {
    drained_ = true;
    on_ = wanted();
    if (on_) return;
    checks_.pause();
    supervisor_->finish(deadline);
}

void SupervisedService::resume() {
    drained_ = false;
    obey();
    tell();
}

bool SupervisedService::settle_finish() {
    const RunState state = supervisor_->status().state;
    // Where nothing can be counted the deadline decides.
    const bool counts = !plan_.ends_when_finished && !ports().empty();
    if (state == RunState::finishing && counts && connections() == 0) {
        supervisor_->stop([] {});
    }
    return state == RunState::off;
}

std::vector<std::uint16_t> SupervisedService::ports() const {
    std::vector<std::uint16_t> ports;
    for (const router::Listener& listener : plan_.listeners) {
        if (listener.protocol != router::Listener::Protocol::http) {
            ports.push_back(listener.address.port);
        }
    }
    for (const config::HealthCheck& check : config_.health) {
        if (const auto* mysql = std::get_if<health::MysqlProbe>(&check.spec.probe)) {
            ports.push_back(mysql->target.port);
        } else if (const auto* tcp = std::get_if<health::TcpProbe>(&check.spec.probe)) {
            ports.push_back(tcp->target.port);
        }
    }
    return ports;
}

std::uint64_t SupervisedService::connections() const {
    return router_io::count_connections(ports()).value_or(0);
}

void SupervisedService::reload(std::function<void(Result<>)> done) {
    supervisor_->reload(std::move(done));
}

void SupervisedService::stop(std::function<void()> done) {
    stopping_ = true;
    timer_.cancel();
    checks_.pause();
    supervisor_->stop(std::move(done));
}

// Health ------------------------------------------------------------------------------------------

void SupervisedService::changed(const router_io::SupervisorStatus& status) {
    spdlog::info("router {} state={} pid={} reason=\"{}\"", plan_.name,
                 router_io::to_string(status.state), status.pid, status.reason);
    if (status.state == RunState::starting && status.pid != 0 && status.pid != checked_pid_) {
        // What its checks said of the one before counts no more.
        const bool first = std::exchange(checked_pid_, status.pid) == 0;
        if (!first && on_) checks_.start(config_.router.provider.start_timeout);
        wait_to_serve();
    }
    if (status.state == RunState::running) crash_.clear();
    const bool ill = status.state == RunState::waiting || status.state == RunState::failed;
    events_.trouble(ill ? status.reason : "");
    tell();
}

void SupervisedService::wait_to_serve() {
    // Checks that go on failing speak for themselves; the process is no longer "starting" then.
    timer_.expires_after(checks_.empty() ? unchecked_start : config_.router.provider.start_timeout);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) supervisor_->serves();
    });
}

void SupervisedService::tell() {
    if (!stopping_) events_.health(opinion(supervisor_->status()));
}

health::Source SupervisedService::opinion(const router_io::SupervisorStatus& status) const {
    health::Source source;
    source.name = "router";
    source.live = true;
    if (!crash_.empty()) {
        source.demotion = on_ ? demotion_down : demotion_crashed;
        source.reason = crash_;
        source.urgent = true;  // a process is this host's own
    } else if (on_ && !runs(status.state)) {
        source.demotion = demotion_down;
        source.reason = status.reason.empty() ? plan_.name + " does not run" : status.reason;
        source.urgent = status.state == RunState::failed || status.state == RunState::waiting;
    } else if (on_ && status.state == RunState::starting && !follows_leadership()) {
        source.demotion = demotion_starting;
        source.reason = plan_.name + " is starting";
    }
    return source;
}

void SupervisedService::show(control::RouterStatus& status) const {
    const router_io::SupervisorStatus from = supervisor_->status();
    status.reason = from.reason;
    if (!on_) status.reason = drained_ ? "drained" : "runs only while this host leads";
    switch (from.state) {
        case RunState::off:
        case RunState::stopping:
        case RunState::finishing:
            status.state = control::RouterState::off;
            break;
        case RunState::starting:
            status.state = control::RouterState::degraded;
            if (status.reason.empty()) status.reason = plan_.name + " is starting";
            break;
        case RunState::running:
            status.reason = checks_.trouble();
            status.state = status.reason.empty() ? control::RouterState::serving
                                                 : control::RouterState::degraded;
            break;
        case RunState::waiting:
        case RunState::failed:
            status.state = control::RouterState::failed;
            break;
    }
    control::ProcessStatus process;
    process.state = std::string(router_io::to_string(from.state));
    process.unit = plan_.unit;
    process.pid = from.pid;
    if (from.since != long_ago) process.since = wall(from.since);
    process.restarts = from.restarts;
    process.last_exit = from.last_exit;
    if (from.next_start) process.next_start_ms = to_ms(*from.next_start - BootClock::now());
    process.adopted = from.adopted;
    status.process = std::move(process);
}

}  // namespace hamr::daemon
