// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstddef>

// When an address is announced. At a takeover at once and again after 5 and 20 ms (one lost frame,
// or a switch port that is just learning, must not cost a second), at 1 s and 5 s (a switch that
// was busy with a topology change), then every refresh period (caches that forget, hosts that came
// later). Instants that were missed are not caught up: one announcement stands for them.

namespace hamr::vip {

class AnnounceSchedule {
  public:
    static constexpr Duration default_refresh = std::chrono::seconds{60};

    /// `refresh` must be positive.
    explicit AnnounceSchedule(Duration refresh = default_refresh);

    /// Begins the burst anew; the first announcement is due at `now`.
    void start(BootTime now);
    void stop();

    /// Whether to announce now. A true is said once for each instant that has come.
    [[nodiscard]] bool due(BootTime now);

    /// The next instant, or `never` when stopped.
    [[nodiscard]] BootTime next() const { return next_; }

  private:
    Duration refresh_;
    BootTime started_ = never;
    BootTime next_ = never;
    std::size_t step_ = 0;
};

}  // namespace hamr::vip
