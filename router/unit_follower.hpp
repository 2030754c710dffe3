// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/supervision.hpp"

#include <string>
#include <string_view>
#include <vector>

// What the states of a systemd unit mean to the supervision machine. Pure: readings of the unit's
// properties in, the machine's inputs out.
//
// A reading may be old or skip states: only what it says counts, not the way there. That the main
// process ended is heard twice, first from the kernel (main_ended), then from systemd, which knows
// how; the machine hears Exited for the first and Gone for the second.

namespace hamr::router {

struct UnitReading {
    std::string load;    ///< LoadState: loaded, not-found, masked, bad-setting, error
    std::string active;  ///< ActiveState: active, reloading, inactive, failed, activating, …
    std::string sub;     ///< SubState: running, auto-restart, …
    std::string result;  ///< of a service: success, exit-code, signal, …
    int main_pid = 0;
    BootTime main_since = long_ago;  ///< when that process began
    std::string main_end;            ///< "exited with code 1"; "" when it has not ended
};

class UnitFollower {
  public:
    explicit UnitFollower(std::string unit);

    [[nodiscard]] std::vector<Input> observe(const UnitReading& reading);
    /// The pidfd of the main process of the newest reading says so.
    [[nodiscard]] std::vector<Input> main_ended();
    /// systemd did not answer for long.
    [[nodiscard]] std::vector<Input> lost(const std::string& why);

    /// Asked to start or stop: from now on the end of that job matters.
    void start_asked();
    void stop_asked();
    /// The job ended; the next reading tells what came of it. `result`: done, failed, timeout,
    /// dependency, canceled, skipped, or "unknown" after the bus was lost.
    void job_ended(std::string_view result);
    /// systemd refused to make a job of it.
    [[nodiscard]] std::vector<Input> start_refused(const std::string& why);

    [[nodiscard]] int main_pid() const { return pid_; }
    [[nodiscard]] bool launching() const { return launching_; }

  private:
    [[nodiscard]] std::vector<Input> first(const UnitReading& reading);
    void while_up(const UnitReading& reading, std::vector<Input>& out);
    void while_down(const UnitReading& reading, std::vector<Input>& out);
    [[nodiscard]] std::string words(const UnitReading& reading) const;
    [[nodiscard]] std::string start_words(const UnitReading& reading) const;

    std::string unit_;
    bool found_ = false;
    bool up_ = false;
    bool ended_ = false;      ///< Exited was said, Gone was not
    bool elsewhere_ = false;  ///< Restarting was said
    bool launching_ = false;
    bool stopping_ = false;
    bool lost_ = false;
    bool job_over_ = false;
    std::string job_result_;
    int pid_ = 0;
};

/// Words for a unit that cannot be started as it is loaded; "" when it can.
[[nodiscard]] std::string load_problem(const std::string& unit, std::string_view load_state);

}  // namespace hamr::router
