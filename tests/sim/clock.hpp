// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/assert.hpp"
#include "base/clock.hpp"

#include <algorithm>
#include <cstdint>

// Time in the simulator. There is one real time, which no node can see, and one clock per node that
// runs at its own rate. Integers only, so that a run replays on every machine.
//
// Limits: a run of 10,000 s of real time; rates up to 10 times real time.

namespace hamr::sim {

/// What "at the same instant" means in a safety check.
struct RealClock {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<RealClock>;
    static constexpr bool is_steady = true;
};
using RealTime = RealClock::time_point;

inline constexpr RealTime end_of_time{Duration{INT64_C(1) << 60}};

/// A rate of 1, so 9,000 is a clock that is slow by 10 %.
inline constexpr int true_rate = 10'000;

/// One host's CLOCK_BOOTTIME: linear in real time between changes of its rate.
class LocalClock {
  public:
    explicit LocalClock(BootTime shows = BootTime{}, int rate = true_rate)
        : local_(shows), rate_(rate) {
        HAMR_ASSERT(rate > 0 && rate <= 10 * true_rate);
    }

    [[nodiscard]] BootTime at(RealTime now) const {
        return local_ + Duration{(now - real_).count() * rate_ / true_rate};
    }

    /// The first real instant at which this clock shows `local` or more. What lies more than a
    /// hundred hours ahead is cut to that: no run lasts so long.
    [[nodiscard]] RealTime when(BootTime local) const {
        const Duration ahead = std::min<Duration>(local - local_, std::chrono::hours{100});
        const auto units = ahead.count() * true_rate;
        return real_ + Duration{units <= 0 ? units / rate_ : (units + rate_ - 1) / rate_};
    }

    void set_rate(RealTime now, int rate) {
        HAMR_ASSERT(rate > 0 && rate <= 10 * true_rate);
        local_ = at(now);
        real_ = now;
        rate_ = rate;
    }

    /// The host was rebooted.
    void restart(RealTime now, BootTime shows) {
        local_ = shows;
        real_ = now;
    }

    [[nodiscard]] int rate() const { return rate_; }

  private:
    RealTime real_{};
    BootTime local_;
    int rate_;
};

}  // namespace hamr::sim
