// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <functional>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// What systemd is told (sd_notify(3), Type=notify): ready, one line of status, stopping; and the
// watchdog's sign of life, which is given only while both loops run: this one asks the pulse loop,
// and passes its answer on. An agent that hangs is ended by systemd, and its gate is shut by then.
//
// A restart in place is told to systemd by nothing but a sign of life just before it: the unit
// stays active, with its process, and the next program's READY=1 changes nothing. RELOADING=1 would
// be another state, in which an agent may die on the way, for some milliseconds and nobody's
// benefit.
//
// Outside systemd (no NOTIFY_SOCKET) every call does nothing. Threading: the work loop.

namespace hamr::daemon {

class ServiceManager {
  public:
    /// Asks the other loop for a sign of life; it answers through alive().
    using Ask = std::function<void()>;

    ServiceManager(boost::asio::io_context& io, Ask ask);

    /// READY=1, and the watchdog begins if systemd wants one.
    void ready();
    /// The other loop runs.
    void alive();
    /// The line that `systemctl status` shows; told only when it has changed.
    void status(const std::string& line);
    /// The program is about to be executed again, and cannot speak meanwhile.
    static void restarting();
    void stopping();

  private:
    void arm();

    boost::asio::steady_timer timer_;
    Ask ask_;
    std::optional<Duration> period_;
    std::string status_;
};

}  // namespace hamr::daemon
