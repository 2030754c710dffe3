// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/beat_rate.hpp"

#include "base/prng.hpp"
#include "tests/unit/election/node.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace hamr::election {
namespace {

using namespace std::chrono_literals;
using testing::Node;
using testing::Puppet;

constexpr Duration asked = 10ms;

/// For a minute, frames leave every `period` of this node's clock.
class Beats {
  public:
    explicit Beats(Duration period) : period_(period) {}

    /// Each frame is lost, or held up for so long at most.
    std::optional<double> arrive(std::uint64_t lost_percent, Duration delay) {
        BeatRate rate;
        Prng random(7);
        BootTime newest = long_ago;
        for (BootTime sent{1000s}; sent < BootTime{1061s}; sent += period_) {
            if (random.below(100) < lost_percent) continue;
            const auto late = Duration{static_cast<Duration::rep>(
                random.below(static_cast<std::uint64_t>(delay.count()) + 1))};
            newest = std::max(newest, sent + late);
            rate.beat(newest, asked);
        }
        return rate.ratio();
    }

  private:
    Duration period_;
};

TEST(BeatRate, clocks_that_agree_make_one) {
    EXPECT_NEAR(Beats(10ms).arrive(0, 0ms).value(), 1.0, 0.02);
}

TEST(BeatRate, a_clock_that_runs_slower_or_faster_shows) {
    EXPECT_NEAR(Beats(12500us).arrive(0, 0ms).value(), 1.25, 0.02);
    EXPECT_NEAR(Beats(8ms).arrive(0, 0ms).value(), 0.8, 0.02);
}

TEST(BeatRate, loss_and_delay_do_not_pass_for_drift) {
    EXPECT_NEAR(Beats(10ms).arrive(20, 4ms).value(), 1.0, 0.05);
    EXPECT_NEAR(Beats(12500us).arrive(20, 4ms).value(), 1.25, 0.05);
}

TEST(BeatRate, says_nothing_before_a_whole_window) {
    BeatRate rate;
    for (BootTime now{1000s}; now < BootTime{1029s}; now += asked) rate.beat(now, asked);
    EXPECT_FALSE(rate.ratio());
}

TEST(BeatRate, a_pause_begins_anew) {
    BeatRate rate;
    BootTime now{1000s};
    for (int i = 0; i < 2000; ++i) rate.beat(now += 12500us, asked);
    rate.pause();
    for (int i = 0; i < 2000; ++i) rate.beat(now += asked, asked);
    EXPECT_FALSE(rate.ratio()) << "neither of the two was a whole window";
}

TEST(BeatRate, another_interval_forgets_what_was_found) {
    BeatRate rate;
    BootTime now{1000s};
    for (int i = 0; i < 4000; ++i) rate.beat(now += 12500us, asked);
    ASSERT_TRUE(rate.ratio());
    rate.beat(now += 20ms, 20ms);
    EXPECT_FALSE(rate.ratio());
}

TEST(BeatRate, T2_of_a_leaders_regular_frames_alone) {
    Node node;
    Puppet b = Node::puppet("b");
    b.wants_answer = true;
    b.claim(Claim::leader, 1);
    for (int i = 0; i < 3000; ++i) {
        node.run(12500us);
        node.hear(b);
        // What it sends besides, and to others, is no beat.
        b.wants_answer = false;
        node.hear(b);
        b.wants_answer = true;
    }
    EXPECT_NEAR(node.status_of(1).beat_ratio.value(), 1.25, 0.02);
    EXPECT_FALSE(node.status_of(2).beat_ratio);
}

}  // namespace
}  // namespace hamr::election
