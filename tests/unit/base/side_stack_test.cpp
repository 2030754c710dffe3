// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/side_stack.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace hamr::mysql {
namespace {

TEST(SideStack, a_call_that_does_not_wait_just_returns) {
    SideStack stack;
    EXPECT_EQ(stack.run([] { return 7; }), 7);
    EXPECT_EQ(stack.run([] { return 8; }), 8);
    EXPECT_FALSE(stack.waiting());
}

TEST(SideStack, a_call_waits_as_often_as_it_likes) {
    SideStack stack;
    EXPECT_FALSE(stack.run([] {
        int ready = SideStack::io_wait(3, 1, 1000);
        ready += 10 * SideStack::io_wait(3, 0, 1000);
        return ready;
    }));
    EXPECT_TRUE(stack.waiting());
    EXPECT_TRUE(stack.for_reading());
    EXPECT_FALSE(stack.go_on(false));
    EXPECT_FALSE(stack.for_reading());
    EXPECT_EQ(stack.go_on(true), 10);
}

TEST(SideStack, many_wait_at_once_and_keep_their_own) {
    std::array<SideStack, 20> stacks;
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(stacks[i].run([i] {
            std::vector<int> own(100, i);
            SideStack::io_wait(3, 1, 1000);
            return own[99];
        }));
    }
    for (int i = 19; i >= 0; --i) EXPECT_EQ(stacks[i].go_on(true), i);
}

TEST(SideStack, outside_of_one_nothing_is_waited_for) {
    EXPECT_EQ(SideStack::io_wait(3, 1, 1000), 0);
    SideStack stack;
    EXPECT_FALSE(stack.run([] { return SideStack::io_wait(3, 1, 1000); }));
    EXPECT_EQ(SideStack::io_wait(3, 1, 1000), 0);
    EXPECT_EQ(stack.go_on(true), 1);
}

}  // namespace
}  // namespace hamr::mysql
