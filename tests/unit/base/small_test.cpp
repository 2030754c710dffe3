// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/prng.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <set>

#include <fcntl.h>
#include <gtest/gtest.h>

namespace hamr {
namespace {

// The sequence is part of what a seed means: it must never change.
TEST(Random, ReplaysForEver) {
    Prng random(42);
    EXPECT_EQ(random.next(), 1546998764402558742ULL);
    EXPECT_EQ(random.next(), 6990951692964543102ULL);
}

TEST(Random, StaysWithinItsBounds) {
    Prng random(1);
    std::set<std::int64_t> seen;
    for (int draw = 0; draw < 1000; ++draw) {
        const std::int64_t value = random.between(-2, 2);
        EXPECT_GE(value, -2);
        EXPECT_LE(value, 2);
        seen.insert(value);
    }
    EXPECT_EQ(seen.size(), 5U);
    EXPECT_FALSE(random.chance(0, 5));
    EXPECT_TRUE(random.chance(5, 5));
}

TEST(Clock, NeverGoesBackAndItsEndsDoNotOverflow) {
    const BootTime first = BootClock::now();
    EXPECT_LE(first, BootClock::now());
    EXPECT_LT(long_ago + std::chrono::hours{24}, first);
    EXPECT_GT(never - std::chrono::hours{24}, first);
    EXPECT_GT(never - long_ago, Duration::zero());
}

TEST(ErrorText, NamesTheSystemsReason) {
    const Result<int> failed = fail_errno("bind 192.0.2.1:8112", EACCES);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message(), "bind 192.0.2.1:8112: Permission denied");
    const Result<int> plain = fail("no leader");
    EXPECT_EQ(plain.error().message(), "no leader");
}

TEST(Descriptor, IsClosedOnceAndMoves) {
    UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(first);
    const int raw = first.get();
    UniqueFd second(std::move(first));
    EXPECT_EQ(second.get(), raw);
    second.reset();
    EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST(AssertionDeathTest, StaysOnInRelease) {
    EXPECT_DEATH(HAMR_ASSERT(1 + 1 == 3), "broken invariant: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace hamr
