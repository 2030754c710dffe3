// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "router/providers/provider.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

// Runs one router: the supervision machine (router/supervision.hpp) joined to a process of ours or
// a unit of systemd.
//
// What      One instance, never two: a router that an earlier life of the agent started is adopted
//           by what was noted in `state_file` (pid, start time, boot id), or ended when it cannot
//           be. Its exit is seen at once (pidfd). Its output goes line by line to on_output.
// Agent's   The router outlives a killed agent (its output pipe never breaks nor blocks it), and is
// death     stopped by a clean stop(), or by end_orphan() (hamrd --cleanup).
// Threading one thread, the executor's. Nothing blocks. Callbacks come from the executor, never
//           from inside a call.
// Limits    Output: lines over 1 KiB are cut, more than 50 lines a second are counted and dropped.

namespace hamr::router_io {

enum class RunState : std::uint8_t {
    off,        ///< not wanted here (a follower's with StartWhen::leader, drained, stopped)
    starting,   ///< started, not yet known to serve (until the first check is up)
    running,
    stopping,
    finishing,  ///< drains
    waiting,    ///< ended by itself; its next start is due at next_start
    failed,     ///< the budget of restarts is used up; tried again rarely, or after reload()
};
[[nodiscard]] std::string_view to_string(RunState state);

struct SupervisorStatus {
    RunState state = RunState::off;
    int pid = 0;             ///< 0: none (or systemd's)
    BootTime since = long_ago;
    unsigned restarts = 0;   ///< since this agent began; those that nobody asked for
    std::string reason;      ///< why it is not running: "haproxy was killed by signal 9 (SIGKILL)"
    std::string last_exit;   ///< words for the newest exit, "" before the first
    std::optional<BootTime> next_start;
    bool adopted = false;
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
               router::Plan plan, std::string state_file, Events events);
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    /// Leaves the router as it is.
    ~Supervisor();

    /// Adopts what runs already, or finds that nothing does. Then obeys want().
    Result<> start();
    /// Whether it should run; may be changed at any time. False: stopped in its own way.
    void want(bool wanted);
    /// For a drain: it takes nothing new, finishes its connections, and ends; what is left at
    /// `deadline` is cut. want(true) takes it back.
    void finish(BootTime deadline);
    /// Its own way of reloading; judges the configuration first. Without one, or when it is not
    /// running: restarted. Also forgets an exhausted budget.
    void reload(std::function<void(Result<>)> done);
    /// A clean end: `done` once nothing runs, at the latest stop_timeout + 1 s from now.
    void stop(std::function<void()> done);
    /// Its checks say that it serves: starting becomes running.
    void serves();

    [[nodiscard]] SupervisorStatus status() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// What a dead agent left running, named by its state file: asked to end, killed after
/// `stop_timeout`. Blocks. Whether there was one.
Result<bool> end_orphan(const std::string& state_file, Duration stop_timeout);

}  // namespace hamr::router_io
