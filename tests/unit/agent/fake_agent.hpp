// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/server.hpp"
#include "tests/unit/agent/sample.hpp"

#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace hamr::test {

/// Answers what it is told to; a failover to "router2" ends a moment later, on the loop.
class FakeHandler : public control::Handler {
  public:
    explicit FakeHandler(boost::asio::io_context& loop) : timer_(loop) {}

    control::Status status() override {
        if (broken) throw std::runtime_error("the fake is broken");
        if (draining && !steps.empty()) {
            current.drain = steps.front();
            steps.pop_front();
        }
        if (!backends.empty() && !flows.empty()) {
            current.router.backends.front().flows = flows.front();
            flows.pop_front();
        }
        return current;
    }
    std::vector<control::HistoryEntry> history() override { return past; }

    void failover(control::FailoverRequest request,
                  std::function<void(control::FailoverAnswer)> done) override {
        asked.push_back(request);
        if (silent) return;
        const std::string to = request.to.value_or("router2");
        if (to == "router1") {
            done({control::Outcome::done, "router1 leads already", "", {}});
        } else if (!request.force) {
            done({control::Outcome::refused,
                  "router2 is worse than router1: demotion 10, not 0",
                  "heal it, or use --force",
                  {}});
        } else {
            timer_.expires_after(std::chrono::milliseconds(1));
            timer_.async_wait([done](const boost::system::error_code&) {
                done({control::Outcome::done,
                      "router2 leads",
                      "",
                      {{"default", "router1", "router2", 1.75}}});
                done({});  // a second answer must do no harm
            });
        }
    }

    void drain(control::DrainRequest request, std::function<void(control::Answer)> done) override {
        drains.push_back(request);
        if (silent) return;
        if (refusal.outcome != control::Outcome::done) return done(refusal);
        draining = request.drained;
        if (!draining) current.drain = {};
        for (control::GroupStatus& group : current.groups) {
            if (group.leader == current.node) group.leader = "router2";
        }
        done({control::Outcome::done,
              request.drained ? "router1 drains" : "router1 takes part again", ""});
    }

    void drain_backend(control::BackendRequest request,
                       std::function<void(control::BackendAnswer)> done) override {
        backends.push_back(request);
        if (refusal.outcome != control::Outcome::done) {
            return done({refusal.outcome, refusal.message, refusal.remedy, {}, {}, {}});
        }
        for (control::BackendStatus& backend : current.router.backends) {
            if (backend.address == request.address) backend.draining = request.draining;
        }
        done({control::Outcome::done,
              request.address + (request.draining ? " is draining" : " is used again"),
              "",
              request.address,
              {"router2"},
              notes});
    }

    void restart(std::function<void(control::Answer)> done) override {
        if (refusal.outcome != control::Outcome::done) return done(refusal);
        current.started = current.started.value_or(control::WallTime{}) + std::chrono::seconds(1);
        done({control::Outcome::done, "restarting in place", "", true});
    }
    void reload(control::ReloadRequest request,
                std::function<void(control::Answer)> done) override {
        if (refusal.outcome != control::Outcome::done && !request.force) return done(refusal);
        if (!reload_restarts) return done({control::Outcome::done, "haproxy has reloaded", ""});
        current.started = current.started.value_or(control::WallTime{}) + std::chrono::seconds(1);
        done({control::Outcome::done, "router3 joins; restarting in place", "", true});
    }

    control::Status current = sample_status();
    /// What a refused drain, undrain or reload is answered with; Outcome::done: none is refused.
    control::Answer refusal;
    /// What a reload finds is to be taken over by a restart.
    bool reload_restarts = false;
    std::vector<control::DrainRequest> drains;
    std::vector<control::BackendRequest> backends;
    std::vector<std::string> notes;  ///< of the answer to an order about a backend
    /// Flows of the first backend: each status() after a drain takes one; the last one stays.
    std::deque<std::uint64_t> flows;
    /// How a drain goes on: each status() after it takes one; the last one stays.
    std::deque<control::DrainStatus> steps;
    bool draining = false;
    std::vector<control::HistoryEntry> past = sample_history();
    std::vector<control::FailoverRequest> asked;
    bool broken = false;
    bool silent = false;

  private:
    boost::asio::steady_timer timer_;
};

/// The control API over a fake handler, on a thread of its own.
class FakeAgent {
  public:
    explicit FakeAgent(control::ServerOptions options)
        : handler(loop_), server_(loop_, handler, std::move(options)) {}
    ~FakeAgent() {
        if (!thread_.joinable()) return;
        boost::asio::post(loop_, [this] {
            server_.stop();
            guard_.reset();
        });
        thread_.join();
    }
    FakeAgent(const FakeAgent&) = delete;
    FakeAgent& operator=(const FakeAgent&) = delete;

    /// Change `handler` before.
    Result<> start() {
        auto started = server_.start();
        if (started) thread_ = std::thread([this] { loop_.run(); });
        return started;
    }

  private:
    boost::asio::io_context loop_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
        loop_.get_executor()};

  public:
    FakeHandler handler;

  private:
    control::Server server_;
    std::thread thread_;
};

}  // namespace hamr::test
