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

}  // namespace
}  // namespace hamr::health
