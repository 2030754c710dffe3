// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

// How long the times between this node's heartbeats were, since it began to run: whether anything
// on this host holds them up. In buckets, each an eighth longer than the one before: a figure is up
// to that much too long. A value; costs no allocation and some nanoseconds for each beat.

namespace hamr::daemon {

class BeatGaps {
  public:
    /// To every peer, now.
    void beat(BootTime now);
    /// How many gaps have been seen.
    [[nodiscard]] std::uint64_t count() const { return count_; }
    /// The gap that `part` (0 to 1) of all do not exceed; zero when there was none.
    [[nodiscard]] Duration quantile(double part) const;
    [[nodiscard]] Duration longest() const { return longest_; }

  private:
    static constexpr std::size_t per_octave = 8;
    /// From a microsecond to some two minutes.
    static constexpr std::size_t octaves = 27;

    std::array<std::uint64_t, per_octave * octaves> buckets_{};
    std::uint64_t count_ = 0;
    BootTime last_ = long_ago;
    Duration longest_{};
};

}  // namespace hamr::daemon
