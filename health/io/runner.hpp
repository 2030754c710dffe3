// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "health/check.hpp"
#include "health/probe.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

// One check at work: probes again and again, remembers, tells.
//
// Each runner has its own timer and probe, so that a check that hangs delays no other; a probe that
// has not answered by its time-out is ended and counts as a failure. At most one probe of a runner
// is under way. Threading: one thread, the executor's; nothing blocks.

namespace hamr::health_io {

class Runner {
  public:
    struct Events {
        /// After every probe, so that the verdict's age is known; `transition` when it turned.
        std::function<void(const health::Check&, const health::Transition* transition)> observed;
    };

    /// `seed` draws the jitter.
    Runner(boost::asio::any_io_executor executor, health::CheckSpec spec, std::uint64_t seed,
           Events events);
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;
    ~Runner();

    /// Probes at once, and from now on.
    void start();
    /// Ends a probe under way and forgets what was known: the check is unknown until it is started
    /// again. For a router that is not meant to run here now.
    void stop();

    [[nodiscard]] bool running() const;
    [[nodiscard]] const health::CheckSpec& spec() const;
    [[nodiscard]] const health::Check& check() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::health_io
