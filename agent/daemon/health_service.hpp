// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/clock.hpp"
#include "health/io/runner.hpp"
#include "health/probe.hpp"
#include "health/verdict.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// The health checks of this host: runs them, and tells what each weighs.
//
// While the router is not meant to run here (a follower's, with `start: leader`; a drained node's)
// the checks pause and count for nothing. A router that has just been started is given time: until
// it serves, or the time is over, its checks count for nothing either, and are asked again quickly,
// so that it is known to serve as soon as it does.
//
// Threading: the work loop.

namespace hamr::daemon {

class HealthService {
  public:
    struct Events {
        /// A check's opinion, after each of its probes.
        std::function<void(health::Source)> health;
        /// This source counts no more.
        std::function<void(const std::string& source)> forget;
        std::function<void(const std::string& check, const health::Transition&)> turned;
        /// Every check is up since they were started last.
        std::function<void()> all_up;
    };

    HealthService(boost::asio::io_context& io, const std::vector<health::CheckSpec>& specs,
                  Events events);

    /// The sources that will speak: what the pulse loop expects from the start.
    [[nodiscard]] static std::vector<std::string> source_names(
        const std::vector<health::CheckSpec>& specs);

    /// Begins, or begins anew: nothing that was known counts for up. Failures are not told before
    /// `patience` is over.
    void start(Duration patience);
    void pause();
    /// Other checks from now on; nothing happens when they are the same.
    void replace(const std::vector<health::CheckSpec>& specs, Duration patience);
    [[nodiscard]] bool paused() const { return paused_; }
    [[nodiscard]] bool empty() const { return runners_.empty(); }

    /// The words of a check that is down; empty when none is.
    [[nodiscard]] std::string trouble() const;
    [[nodiscard]] std::vector<control::CheckStatus> status() const;

  private:
    void add(const health::CheckSpec& spec);
    void observed(std::size_t index, const health::Check& check,
                  const health::Transition* transition);
    void tell(const health::CheckSpec& spec, const health::Check& check);
    void patience_over();
    /// Asks this one again soon, as if for the first time.
    void retry(std::size_t index);
    [[nodiscard]] bool patient() const { return BootClock::now() < patient_until_; }

    boost::asio::io_context& io_;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer retry_timer_;
    std::vector<std::size_t> retries_;
    Events events_;
    std::vector<std::unique_ptr<health_io::Runner>> runners_;
    BootTime patient_until_ = long_ago;
    bool paused_ = true;
    bool told_up_ = false;
};

}  // namespace hamr::daemon
