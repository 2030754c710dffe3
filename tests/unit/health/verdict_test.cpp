// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/verdict.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace hamr::health {
namespace {

BootTime at(int ms) {
    return BootTime{std::chrono::milliseconds{ms}};
}

TEST(Verdict, no_source_is_healthy) {
    const Verdict verdict = Sources{}.verdict();
    EXPECT_EQ(verdict.demotion, 0u);
    EXPECT_FALSE(verdict.urgent);
}

TEST(Verdict, a_declared_source_is_demoted_until_it_speaks) {
    Sources sources;
    sources.declare("router");
    EXPECT_EQ(sources.verdict().demotion, unknown_demotion);
    EXPECT_EQ(sources.verdict().reason, "router has not been checked yet");
    sources.set({"router", 0, "", at(5), false});
    EXPECT_EQ(sources.verdict().demotion, 0u);
    EXPECT_EQ(sources.verdict().begun_at, at(5));
    sources.declare("router");
    EXPECT_EQ(sources.verdict().demotion, 0u) << "a second declaration forgets nothing";
}

TEST(Verdict, reasons_are_joined_the_heaviest_first) {
    Sources sources;
    sources.set({"router", 100, "no primary", at(7), false});
    sources.set({"link", fatal_demotion, "no carrier on eth0", at(9), true});
    sources.set({"disk", 0, "", at(3), false});
    const Verdict verdict = sources.verdict();
    EXPECT_EQ(verdict.demotion, fatal_demotion + 100);
    EXPECT_EQ(verdict.reason, "no carrier on eth0; no primary");
    EXPECT_EQ(verdict.begun_at, at(3)) << "the oldest check that it rests on";
    EXPECT_TRUE(verdict.urgent);
}

TEST(Verdict, a_healthy_urgent_source_is_not_urgent) {
    Sources sources;
    sources.set({"link", 0, "", at(9), true});
    EXPECT_FALSE(sources.verdict().urgent);
}

TEST(Verdict, the_sum_saturates) {
    const std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    Sources sources;
    sources.set({"a", most - 1, "a", at(1), false});
    sources.set({"b", 5, "b", at(1), false});
    EXPECT_EQ(sources.verdict().demotion, most);
    sources.remove("a");
    EXPECT_EQ(sources.verdict().demotion, 5u);
}

}  // namespace
}  // namespace hamr::health
