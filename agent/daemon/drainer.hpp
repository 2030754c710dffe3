// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/clock.hpp"

#include <cstdint>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// `hamr drain` of this node, step by step:
//
//     none --drain--> moving --leads nothing any more--> finishing --nothing left--> drained
//          <-----------------------------undrain------------------------------------
//
// That the node is drained is kept in a file before anything else happens, so that it survives a
// restart and a reboot. While leadership cannot move (nobody else as healthy can lead) the node
// goes on serving. Threading: the work loop.

namespace hamr::daemon {

class Drainer {
  public:
    /// What the drain needs of the rest of the agent.
    struct Hands {
        /// Tells the election.
        std::function<void(bool drained)> tell;
        /// The router takes nothing new and ends its connections until then.
        std::function<void(BootTime deadline)> finish;
        /// Connections that the router still has.
        std::function<std::uint64_t()> connections;
        /// The router has ended, or has nothing left to do.
        std::function<bool()> finished;
        /// The router serves again.
        std::function<void()> resume;
        std::function<void(const std::string& what)> log;
        /// Trouble with the file; empty: over.
        std::function<void(const std::string& what)> trouble;
    };

    Drainer(boost::asio::io_context& io, std::string file, Duration timeout, Hands hands);

    /// What the file says; before start().
    [[nodiscard]] static bool recorded(const std::string& file);
    /// `recorded`: the node has begun drained.
    void start(bool recorded);
    void stop();

    void drain(Duration timeout, std::function<void(control::Answer)> done);
    void undrain(std::function<void(control::Answer)> done);
    /// Whether this node leads anything, whenever that may have changed.
    void leads(bool any);

    [[nodiscard]] bool active() const { return state_ != control::DrainStatus::State::none; }
    [[nodiscard]] Duration default_timeout() const { return timeout_; }
    [[nodiscard]] control::DrainStatus status() const;

  private:
    using State = control::DrainStatus::State;

    void enter_finishing();
    void look();
    void look_later();
    void answer(control::Answer answer);
    void record();
    void forget();

    boost::asio::steady_timer timer_;
    std::string file_;
    Duration timeout_;
    Hands hands_;
    State state_ = State::none;
    Duration allowed_{};
    BootTime answer_by_ = never;
    BootTime deadline_ = never;
    std::uint64_t connections_ = 0;
    std::string note_;
    bool leads_ = false;
    std::function<void(control::Answer)> done_;
};

}  // namespace hamr::daemon
