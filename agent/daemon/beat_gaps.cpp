// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/beat_gaps.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace hamr::daemon {

using std::chrono::microseconds;

void BeatGaps::beat(BootTime now) {
    const BootTime before = last_;
    last_ = now;
    if (before == long_ago) return;
    const Duration gap = std::max(now - before, Duration::zero());
    longest_ = std::max(longest_, gap);
    ++count_;
    // The three bits below the highest one are the part of the octave.
    const auto us = static_cast<std::uint64_t>(
        std::max<std::int64_t>(std::chrono::ceil<microseconds>(gap).count(), 1));
    const auto octave = static_cast<std::size_t>(std::bit_width(us) - 1);
    const std::uint64_t part = octave >= 3 ? us >> (octave - 3) : us << (3 - octave);
    const std::size_t bucket = octave * per_octave + part % per_octave;
    ++buckets_[std::min(bucket, buckets_.size() - 1)];
}

Duration BeatGaps::quantile(double part) const {
    const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        seen += buckets_[bucket];
        if (buckets_[bucket] == 0 || seen < wanted) continue;
        // The bucket's end.
        const std::uint64_t eighths = (per_octave + bucket % per_octave + 1)
                                      << (bucket / per_octave);
        return std::min<Duration>(microseconds(eighths / per_octave), longest_);
    }
    return longest_;
}

}  // namespace hamr::daemon
