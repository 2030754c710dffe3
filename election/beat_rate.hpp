// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

// How fast a leader's clock runs beside this node's. No frame carries a time, and no two hosts'
// clocks are compared; but a leader sends every I of its own clock (rule T2), so the times between
// its frames' arrivals tell. A lost frame makes one gap as long as two, which is left out; a delay
// makes one longer and the next one shorter. So the median is I, unless the clocks differ, or the
// leader is always late.
//
// For people only: nothing is decided by it. Pure.

namespace hamr::election {

class BeatRate {
  public:
    static constexpr Duration window = std::chrono::seconds{30};
    static constexpr std::uint32_t fewest = 100;

    /// A regular frame of a leader with this interval has arrived.
    void beat(BootTime now, Duration interval);
    /// It leads no longer, or has begun a new life: the next frame begins anew.
    void pause() { last_ = long_ago; }

    /// What one interval of its clock is on this node's clock, as a multiple of it: 1.25 when its
    /// clock runs at 0.8 of this one's rate. By the last whole window; empty before.
    [[nodiscard]] std::optional<double> ratio() const { return ratio_; }

  private:
    // Gaps from 0 to 4 I, to a 64th of I.
    static constexpr std::int64_t parts = 64;
    static constexpr std::size_t buckets = 4 * parts;

    void finish();
    [[nodiscard]] std::optional<double> median(std::size_t from, std::size_t to) const;

    BootTime last_ = long_ago;
    BootTime begun_ = long_ago;
    Duration interval_{};
    std::array<std::uint32_t, buckets> gaps_{};
    std::uint32_t count_ = 0;
    std::optional<double> ratio_;
};

}  // namespace hamr::election
