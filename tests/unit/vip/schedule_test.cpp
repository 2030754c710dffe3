// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/schedule.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace hamr::vip {
namespace {

using namespace std::chrono_literals;

const BootTime t0{100s};

TEST(Schedule, bursts_at_a_takeover_and_refreshes_afterwards) {
    AnnounceSchedule schedule;
    schedule.start(t0);
    std::vector<Duration> announced;
    while (announced.size() < 8) {
        const BootTime now = schedule.next();
        ASSERT_TRUE(schedule.due(now));
        announced.push_back(now - t0);
    }
    EXPECT_EQ(announced, (std::vector<Duration>{0ms, 5ms, 20ms, 1s, 5s, 65s, 125s, 185s}));
}

TEST(Schedule, says_each_instant_once) {
    AnnounceSchedule schedule;
    schedule.start(t0);
    EXPECT_TRUE(schedule.due(t0));
    EXPECT_FALSE(schedule.due(t0));
    EXPECT_FALSE(schedule.due(t0 + 4ms));
    EXPECT_TRUE(schedule.due(t0 + 5ms));
}

TEST(Schedule, one_announcement_stands_for_missed_instants) {
    AnnounceSchedule schedule;
    schedule.start(t0);
    EXPECT_TRUE(schedule.due(t0 + 700ms));
    EXPECT_FALSE(schedule.due(t0 + 701ms));
    EXPECT_EQ(schedule.next(), t0 + 1s);
}

TEST(Schedule, is_silent_before_start_and_after_stop) {
    AnnounceSchedule schedule;
    EXPECT_EQ(schedule.next(), never);
    EXPECT_FALSE(schedule.due(t0));
    schedule.start(t0);
    schedule.stop();
    EXPECT_EQ(schedule.next(), never);
    EXPECT_FALSE(schedule.due(t0 + 1s));
}

TEST(Schedule, the_refresh_period_is_the_owners) {
    AnnounceSchedule schedule(10s);
    schedule.start(t0);
    EXPECT_TRUE(schedule.due(t0 + 6s));
    EXPECT_EQ(schedule.next(), t0 + 16s);
}

}  // namespace
}  // namespace hamr::vip
