// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "router/io/unit_bus.hpp"
#include "router/providers/provider.hpp"
#include "router/supervision.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// Runs one router: the supervision machine (router/supervision.hpp) joined to a process of ours or
// a unit of systemd.
//
// What      One instance, never two: a router that an earlier life of the agent started is adopted
//           by what was noted in `state_file` (pid, start time, boot id, marker), or ended when it
//           cannot be. Its exit is seen at once (pidfd). Its output goes line by line to `output`.
//           What it leaves running is ended before anything is started again.
// Units     belong to systemd: nothing is noted, no output is heard (the journal has it), and a
//           restart that systemd itself makes (Restart=) is waited for, not raced.
// Agent's   The router outlives a killed agent (its output pipe never breaks nor blocks it), and is
// death     stopped by a clean stop(), or by end_orphan() (hamrd --cleanup).
// Threading one thread, the executor's. Nothing blocks. Callbacks come from the executor, never
//           from inside a call.
// Limits    Output: lines over 1 KiB are cut, more than 50 lines a second are counted and dropped.

namespace hamr::router_io {

using router::RunState;
using router::SupervisorStatus;
using router::to_string;

struct SupervisorOptions {
    /// Where systemd is reached.
    std::vector<BusAddress> buses = system_buses();
};

class Supervisor {
  public:
    struct Events {
        /// state, pid or reason changed.
        std::function<void(const SupervisorStatus&)> changed;
        /// It ended without being asked to: comes at once, before `changed`.
        std::function<void(const std::string& reason)> crashed;
        /// A line of the router's output, made printable.
        std::function<void(std::string_view line)> output;
    };

    /// `state_file`: where the instance is noted; the output pipe is `state_file` + ".out".
    Supervisor(boost::asio::any_io_executor executor, router::ProviderConfig config,
               router::Plan plan, std::string state_file, Events events,
               SupervisorOptions options = {});
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    /// Leaves the router as it is.
    ~Supervisor();

    /// Adopts what runs already, or finds that nothing does. Then obeys want().
    Result<> start();
    /// Whether it should run; may be changed at any time. False: stopped in its own way, but a
    /// finish() under way goes on. Until the first call, what was adopted goes on as it is.
    void want(bool wanted);
    /// For a drain: it takes nothing new, finishes its connections, and ends; what is left at
    /// `deadline` is cut. Where the router has no such way it runs on: stop() when its connections
    /// are gone, or the deadline, ends it. want(true) takes it back; one that has already shut its
    /// ports is restarted for that.
    void finish(BootTime deadline);
    /// Its own way of reloading; judges the configuration first. Without one, or when it should run
    /// and does not: restarted. One that is not wanted has nothing to do: it reads its
    /// configuration when it starts. Also forgets an exhausted budget.
    void reload(std::function<void(Result<>)> done);
    /// A clean end: `done` once nothing runs, at the latest stop_timeout + 1 s from now. Also cuts
    /// a finish() short. want(true) may follow.
    void stop(std::function<void()> done);
    /// Its checks say that it serves: starting becomes running.
    void serves();

    [[nodiscard]] SupervisorStatus status() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// What a dead agent left running, named by its state file: asked to end (SIGTERM), killed after
/// `stop_timeout`. Blocks. Whether there was one. Also removes the files. A unit is systemd's, and
/// stays.
Result<bool> end_orphan(const std::string& state_file, Duration stop_timeout);

}  // namespace hamr::router_io
