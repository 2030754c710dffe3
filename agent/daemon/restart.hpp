// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "agent/daemon/inputs.hpp"
#include "agent/daemon/options.hpp"
#include "agent/daemon/reexec.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

#include <functional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// `hamr restart`: the agent executes its program again, which an upgrade may have replaced, without
// moving anything (docs/operations.md; reexec.hpp is how).
//
// In this order: the configuration is read and must not ask for another cluster; the new program
// rehearses its start, which proves that it can read the same files and measures how long it takes;
// then it is decided by arithmetic whether a leader may go over with its lease (rule U4) or hands
// over first; then the program is executed. Until that moment nothing has been given up: whatever
// speaks against it is the answer.
//
// Threading: the work loop. Nothing blocks but reading the configuration.

namespace hamr::daemon {

/// What is left of a lease of `usable` once it has been renewed, and what the restart takes.
struct RestartTimes {
    Duration took{};      ///< as rehearsed
    Duration usable{};    ///< D (1 - rho)
    Duration interval{};  ///< I
};
/// What a restart may take, with a margin for a busier moment.
[[nodiscard]] Duration restart_needs(Duration took);
/// Rule U4: a frame, its answer, and the restart fit into one lease.
[[nodiscard]] bool fits(const RestartTimes& times);

/// What `next` asks that a restart in place cannot give; empty when there is nothing.
[[nodiscard]] std::string restart_difference(const Inputs& now, const Inputs& next);

class Restarter {
  public:
    struct Hands {
        std::function<control::Status()> status;
        std::function<void(control::FailoverRequest,
                           std::function<void(control::FailoverAnswer)> done)>
            failover;
        /// See Pulse::leave; `failed` is called on the work loop.
        std::function<void(Duration needs, std::function<Error(Life&)> leave,
                           std::function<void(Error)> failed)>
            leave;
        /// Something to remember.
        std::function<void(const std::string&)> log;
    };
    struct CommandLine {
        Options options;
        std::vector<std::string> arguments;  ///< of this program, as it was called
        int lock = -1;                       ///< of the network namespace
    };

    /// `inputs` outlives it.
    Restarter(boost::asio::io_context& io, const Inputs& inputs, CommandLine command, Hands hands);

    /// `done` comes before the program is executed: refused and why, or what is about to happen.
    void restart(std::function<void(control::Answer)> done);

  private:
    void refuse(const std::string& why, const std::string& remedy);
    [[nodiscard]] Result<> judge() const;
    void rehearse();
    void rehearsed(const Rehearsal& rehearsal);
    void hand_over(std::vector<std::string> groups);
    void go(Duration needs, const std::string& message);

    boost::asio::io_context& io_;
    const Inputs& inputs_;
    CommandLine command_;
    Hands hands_;
    boost::asio::steady_timer timer_;
    std::string program_;
    bool same_life_ = true;
    std::function<void(control::Answer)> done_;  ///< while a restart is under way
};

}  // namespace hamr::daemon
