// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/check.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hamr::health {
namespace {

BootTime at(int ms) {
    return BootTime{std::chrono::milliseconds{ms}};
}

struct Row {
    const char* name;
    unsigned rise, fall;
    const char* results;  // + ok, - failed
    const char* states;   // after each: u up, d down
};

class CheckTable : public testing::TestWithParam<Row> {};

TEST_P(CheckTable, turns_when_the_counts_say_so) {
    const Row& row = GetParam();
    Check check({"probe", row.rise, row.fall});
    EXPECT_EQ(check.state(), CheckState::unknown);
    std::string states;
    for (int i = 0; row.results[i] != 0; ++i) {
        const CheckState before = check.state();
        const auto turned = check.observe(at(i + 1), row.results[i] == '+', at(i), "text");
        EXPECT_EQ(turned.has_value(), before != check.state());
        states += check.state() == CheckState::up ? 'u' : 'd';
    }
    EXPECT_EQ(states, row.states);
}

INSTANTIATE_TEST_SUITE_P(rows, CheckTable,
                         testing::Values(Row{"first_success_decides", 3, 3, "+", "u"},
                                         Row{"first_failure_decides", 3, 3, "-", "d"},
                                         Row{"one_failure_is_forgiven", 2, 2, "+-+-+", "uuuuu"},
                                         Row{"fall_in_a_row", 2, 2, "+--", "uud"},
                                         Row{"rise_in_a_row", 3, 1, "+-++-+++", "uddddddu"},
                                         Row{"fall_of_one", 1, 1, "+-+", "udu"}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(Check, says_why_it_turned) {
    Check check({"mysql", 2, 2});
    auto turned = check.observe(at(1), true, at(0), "8.0");
    ASSERT_TRUE(turned);
    EXPECT_EQ(turned->reason, "mysql succeeded: 8.0");
    EXPECT_FALSE(check.observe(at(2), false, at(1), "refused"));
    turned = check.observe(at(4), false, at(3), "timed out");
    ASSERT_TRUE(turned);
    EXPECT_EQ(turned->from, CheckState::up);
    EXPECT_EQ(turned->to, CheckState::down);
    EXPECT_EQ(turned->reason, "mysql failed 2 times in a row: timed out");
    EXPECT_EQ(check.since(), at(4));
}

TEST(Check, begun_at_is_of_the_newest_probe_that_bears_the_state_out) {
    Check check({"mysql", 2, 2});
    EXPECT_EQ(check.begun_at(), long_ago);
    (void)check.observe(at(11), true, at(10), "");
    (void)check.observe(at(21), false, at(20), "");
    EXPECT_EQ(check.begun_at(), at(10)) << "still up, which the failure does not bear out";
    (void)check.observe(at(31), true, at(30), "");
    EXPECT_EQ(check.begun_at(), at(30));
}

TEST(Check, ignores_a_result_that_was_overtaken) {
    Check check({"mysql", 1, 1});
    (void)check.observe(at(20), true, at(15), "");
    EXPECT_FALSE(check.observe(at(30), false, at(10), "late"));
    EXPECT_EQ(check.state(), CheckState::up);
}

// Damping ---------------------------------------------------------------------------------------

/// Drives a check with one result a second.
class Flapping {
  public:
    explicit Flapping(CheckConfig config) : check(std::move(config)) { feed(true, 1); }

    /// The transitions that `count` equal results made.
    unsigned feed(bool ok, unsigned count) {
        unsigned turns = 0;
        for (unsigned i = 0; i < count; ++i) {
            now += std::chrono::seconds(1);
            if (check.observe(now, ok, now, "text")) ++turns;
        }
        return turns;
    }
    /// Good results until it is up again.
    unsigned needed() {
        for (unsigned i = 1; i < 1000; ++i) {
            if (feed(true, 1) == 1) return i;
        }
        return 0;
    }

    Check check;
    BootTime now{};
};

TEST(Damping, each_fall_soon_after_another_doubles_the_rise_up_to_eightfold) {
    Flapping flapping({"mysql", 2, 2});
    std::vector<unsigned> needed;
    std::vector<unsigned> flaps;
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(flapping.feed(false, 2), 1u) << "going down is never delayed";
        flaps.push_back(flapping.check.flaps(flapping.now));
        needed.push_back(flapping.needed());
    }
    EXPECT_EQ(needed, (std::vector<unsigned>{2, 4, 8, 16, 16, 16}));
    EXPECT_EQ(flaps, (std::vector<unsigned>{0, 1, 2, 3, 4, 5}));
}

TEST(Damping, asks_for_sixty_results_at_most_and_never_for_less_than_rise) {
    Flapping many({"mysql", 20, 1});
    Flapping more({"mysql", 70, 1});
    for (unsigned expected : {20u, 40u, 60u, 60u}) {
        many.feed(false, 1);
        EXPECT_EQ(many.needed(), expected);
    }
    for (unsigned expected : {70u, 70u}) {
        more.feed(false, 1);
        EXPECT_EQ(more.needed(), expected);
    }
}

TEST(Damping, a_fall_long_after_the_last_one_is_a_first_one) {
    Flapping flapping({"mysql", 2, 1});
    flapping.feed(false, 1);
    flapping.needed();
    flapping.feed(false, 1);
    EXPECT_EQ(flapping.needed(), 4u);
    flapping.now += std::chrono::minutes(5);
    EXPECT_EQ(flapping.check.flaps(flapping.now), 0u);
    flapping.feed(false, 1);
    EXPECT_EQ(flapping.needed(), 2u);
}

TEST(Damping, delays_no_rise_longer_than_its_window) {
    Flapping flapping({"mysql", 2, 1, std::chrono::seconds(10)});
    for (int i = 0; i < 5; ++i) {
        flapping.feed(false, 1);
        EXPECT_LE(flapping.needed(), 10u);
    }
}

TEST(Damping, a_check_that_begins_down_has_not_fallen) {
    Check check({"mysql", 1, 1});
    (void)check.observe(at(1), false, at(0), "");
    (void)check.observe(at(2), true, at(1), "");
    (void)check.observe(at(3), false, at(2), "");
    EXPECT_EQ(check.flaps(at(3)), 0u);
}

TEST(Damping, can_be_switched_off) {
    Flapping flapping({"mysql", 1, 1, Duration::zero()});
    for (int i = 0; i < 5; ++i) {
        flapping.feed(false, 1);
        EXPECT_EQ(flapping.needed(), 1u);
    }
}

TEST(Damping, what_does_not_bear_the_state_out_does_not_renew_begun_at) {
    Flapping flapping({"mysql", 2, 1});
    flapping.feed(false, 1);
    const BootTime fell = flapping.now;
    flapping.feed(true, 1);
    EXPECT_EQ(flapping.check.begun_at(), fell) << "down, which the success does not bear out";
}

}  // namespace
}  // namespace hamr::health
