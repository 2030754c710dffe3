// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/beat_rate.hpp"

#include <algorithm>

namespace hamr::election {

void BeatRate::beat(BootTime now, Duration interval) {
    const BootTime before = last_;
    last_ = now;
    if (interval != interval_) {
        interval_ = interval;
        ratio_.reset();
        begun_ = long_ago;
    }
    if (before == long_ago || begun_ == long_ago) {
        gaps_ = {};
        count_ = 0;
        begun_ = now;
        return;
    }
    const std::int64_t part = (now - before).count() * parts / interval.count();
    ++gaps_[static_cast<std::size_t>(std::clamp<std::int64_t>(part, 0, buckets - 1))];
    ++count_;
    if (now - begun_ < window || count_ < fewest) return;
    finish();
    gaps_ = {};
    count_ = 0;
    begun_ = now;
}

/// In 64ths of an interval, of the gaps in these buckets; empty when there are none.
std::optional<double> BeatRate::median(std::size_t from, std::size_t to) const {
    std::uint32_t count = 0;
    for (std::size_t bucket = from; bucket < to; ++bucket) count += gaps_[bucket];
    std::uint32_t below = 0;
    for (std::size_t bucket = from; bucket < to; ++bucket) {
        if (gaps_[bucket] == 0 || (below + gaps_[bucket]) * 2 < count) {
            below += gaps_[bucket];
            continue;
        }
        // Within the bucket as if they lay evenly there.
        const double inside = (static_cast<double>(count) / 2 - below) / gaps_[bucket];
        return static_cast<double>(bucket) + inside;
    }
    return std::nullopt;
}

void BeatRate::finish() {
    const auto first = median(0, buckets);
    if (!first) return;
    // Once more without those over which a frame was lost, which would lift it.
    const auto to = std::min(static_cast<std::size_t>(*first * 1.5), buckets);
    const auto second = median(static_cast<std::size_t>(*first * 0.5), to);
    if (second) ratio_ = *second / parts;
}

}  // namespace hamr::election
