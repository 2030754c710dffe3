// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/beat_gaps.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace hamr::daemon {
namespace {

using namespace std::chrono_literals;

TEST(BeatGaps, none_before_the_second_beat) {
    BeatGaps gaps;
    EXPECT_EQ(gaps.count(), 0U);
    EXPECT_EQ(gaps.quantile(0.99), Duration::zero());
    gaps.beat(BootTime{} + 1h);
    EXPECT_EQ(gaps.count(), 0U);
    EXPECT_EQ(gaps.longest(), Duration::zero());
}

TEST(BeatGaps, a_figure_is_an_eighth_too_long_at_most_and_never_longer_than_the_longest) {
    for (const Duration gap : {Duration{1us}, Duration{7us}, Duration{100us}, Duration{999us},
                               Duration{3ms}, Duration{10ms}, Duration{1s}, Duration{50s}}) {
        BeatGaps gaps;
        BootTime now = BootTime{} + 1h;
        for (int beat = 0; beat < 1000; ++beat) gaps.beat(now += gap);
        gaps.beat(now += 60s);
        EXPECT_EQ(gaps.count(), 1000U);
        EXPECT_EQ(gaps.longest(), 60s);
        EXPECT_GE(gaps.quantile(0.5), gap);
        EXPECT_LE(gaps.quantile(0.5), gap + gap / 8 + 1us) << gap.count();
        EXPECT_GE(gaps.quantile(0.99), gap);
        EXPECT_EQ(gaps.quantile(1), 60s);
    }
}

TEST(BeatGaps, quantiles_are_in_order) {
    BeatGaps gaps;
    BootTime now = BootTime{} + 1h;
    gaps.beat(now);
    for (int i = 1; i <= 1000; ++i) gaps.beat(now += i * 10us);
    EXPECT_GE(gaps.quantile(0.5), 5ms);
    EXPECT_LE(gaps.quantile(0.5), 5700us);
    EXPECT_GE(gaps.quantile(0.99), 9900us);
    EXPECT_EQ(gaps.quantile(0.99), 10ms);
    EXPECT_EQ(gaps.longest(), 10ms);
}

TEST(BeatGaps, what_does_not_fit_is_in_the_last_bucket) {
    BeatGaps gaps;
    gaps.beat(BootTime{} + 1h);
    gaps.beat(BootTime{} + 1h);
    gaps.beat(BootTime{} + 30h);
    EXPECT_EQ(gaps.count(), 2U);
    EXPECT_EQ(gaps.longest(), 29h);
    EXPECT_LE(gaps.quantile(0.5), 2us);
}

}  // namespace
}  // namespace hamr::daemon
