// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/warnings.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<control::Warning> warned(const std::string& nodes, const std::string& more = "") {
    return config_warnings(config::parse("cluster: shop\nnodes: {" + nodes +
                                             "}\nkey_file: /k\nvip: 192.0.2.100/24\n"
                                             "router: {kind: none}\n" +
                                             more,
                                         "hamr.yaml"));
}

const std::string two = "r1: 192.0.2.11, r2: 192.0.2.12";
const std::string three = two + ", w1: {addresses: [192.0.2.13], role: witness}";

TEST(ConfigWarnings, NoneWhenAMajorityCanBeAsked) {
    EXPECT_THAT(warned(three), IsEmpty());
}

TEST(ConfigWarnings, TwoNodesAreToldOnceWhatIsNotPromised) {
    const auto warnings = warned(two);
    ASSERT_THAT(warnings, SizeIs(1));
    EXPECT_THAT(warnings[0].what, HasSubstr("makes two leaders"));
    EXPECT_THAT(warnings[0].remedy, HasSubstr("add a third voter"));
    EXPECT_THAT(warnings[0].remedy, HasSubstr("hamr.yaml line 1"));
}

TEST(ClockWarning, ClocksWithinATenthAreAsTheyShouldBe) {
    EXPECT_FALSE(clock_warning("r2", 1.0, std::chrono::milliseconds{10}));
    EXPECT_FALSE(clock_warning("r2", 1.09, std::chrono::milliseconds{10}));
    EXPECT_FALSE(clock_warning("r2", 0.92, std::chrono::milliseconds{10}));
}

TEST(ClockWarning, SaysHowFarApartAndWhatThatMeans) {
    const auto slow = clock_warning("r2", 1.15, std::chrono::milliseconds{10});
    ASSERT_TRUE(slow);
    EXPECT_EQ(slow->what,
              "r2's heartbeats come every 11.5 ms by this host's clock, not every 10.0 ms: its "
              "clock runs 1.15 times as slowly as this one's");
    const auto beyond = clock_warning("r2", 1.3, std::chrono::milliseconds{10});
    EXPECT_THAT(beyond->what, HasSubstr("two leaders are possible"));
    const auto fast = clock_warning("r2", 0.8, std::chrono::milliseconds{10});
    EXPECT_THAT(fast->what, HasSubstr("1.25 times as fast"));
    EXPECT_THAT(fast->remedy, HasSubstr("hamr drain"));
}

TEST(ConfigWarnings, QuorumNoneOnPurpose) {
    const auto warnings = warned(two, "quorum: none\n");
    ASSERT_THAT(warnings, SizeIs(1));
    EXPECT_THAT(warnings[0].what, HasSubstr("two leaders"));
    EXPECT_THAT(warnings[0].remedy, HasSubstr("witness"));
    for (const control::Warning& warning : warned(three, "quorum: none\n")) {
        EXPECT_FALSE(warning.what.empty());
        EXPECT_FALSE(warning.remedy.empty());
    }
}

TEST(ConfigWarnings, EveryOneHasARemedy) {
    for (const auto& warnings : {warned("r1: 192.0.2.11"), warned(two, "quorum: majority\n")}) {
        EXPECT_THAT(warnings, testing::Not(IsEmpty()));
        for (const control::Warning& warning : warnings) EXPECT_FALSE(warning.remedy.empty());
    }
}

TEST(ConfigWarnings, WhatTheRouterTellsItselfIsNotToldTwice) {
    const auto loaded = config::parse(
        "cluster: shop\nnodes: {" + three +
            "}\nkey_file: /k\nvip: 192.0.2.100/24\nrouter: {backends: [192.0.2.21:3306]}\n",
        "hamr.yaml");
    EXPECT_THAT(loaded.warnings, SizeIs(1));
    EXPECT_THAT(config_warnings(loaded), IsEmpty());
}

TEST(AbsentAddresses, AreNamed) {
    const IpAddress there = *IpAddress::parse("192.0.2.11");
    const IpAddress gone = *IpAddress::parse("198.51.100.11");
    const config::Node self{"r1", {there, gone}, config::NodeRole::router};
    EXPECT_THAT(absent_addresses(self, {there, gone}), IsEmpty());
    const auto warnings = absent_addresses(self, {there});
    ASSERT_THAT(warnings, SizeIs(1));
    EXPECT_THAT(warnings[0].what, HasSubstr("198.51.100.11"));
    EXPECT_THAT(warnings[0].remedy, HasSubstr("nodes.r1"));
}

TEST(Remedy, EveryTroubleWithAnAddressHasItsOwn) {
    using vip::Notice;
    std::vector<std::string_view> seen{remedy(Notice::ready)};
    for (const Notice notice : {Notice::waiting, Notice::carrier_lost, Notice::left_deleted,
                                Notice::request_failed, Notice::foreign_claim}) {
        EXPECT_THAT(seen, testing::Not(testing::Contains(remedy(notice))));
        seen.push_back(remedy(notice));
    }
}

}  // namespace
}  // namespace hamr::daemon
