// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/ruleset.hpp"

#include "tests/unit/router/sample_ruleset.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// What sample_ruleset() must become, to the letter.
std::string golden() {
    std::ifstream file(HAMR_GOLDEN_RULESET);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Ruleset, the_whole_table) {
    const Ruleset ruleset = render(sample_ruleset());
    EXPECT_EQ("# SPDX-License-Identifier: GPL-2.0-or-later\n" + ruleset.text, golden());
    ASSERT_THAT(ruleset.warnings, SizeIs(1));
    EXPECT_EQ(ruleset.warnings[0].what,
              "route ro of 2001:db8::100 leads nowhere: no backend has an IPv6 address");
}

TEST(Ruleset, one_family_alone) {
    RulesetInput input = sample_ruleset();
    input.vips = {*IpAddress::parse("192.0.2.100")};
    input.guard_v6.clear();
    const Ruleset ruleset = render(input);
    EXPECT_THAT(ruleset.text, Not(HasSubstr("ip6")));
    EXPECT_THAT(ruleset.text, Not(HasSubstr("2001:db8")));
    EXPECT_THAT(ruleset.text, Not(HasSubstr("redirects"))) << "IPv4 has a sysctl for it";
    EXPECT_THAT(ruleset.warnings, IsEmpty());
}

TEST(Ruleset, a_route_without_backends_is_reset_without_a_warning) {
    RulesetInput input = sample_ruleset();
    for (RoutePlan& route : input.routes) route.backends.clear();
    const Ruleset ruleset = render(input);
    EXPECT_THAT(ruleset.text, Not(HasSubstr("goto")));
    EXPECT_THAT(ruleset.text, HasSubstr("tcp dport { 6446, 6447 } counter reject with tcp reset"));
    EXPECT_THAT(ruleset.text, HasSubstr("snat ip to")) << "for the flows that are still there";
    EXPECT_THAT(ruleset.warnings, IsEmpty());
}

TEST(Ruleset, nothing_to_route_removes_the_table) {
    RulesetInput input = sample_ruleset();
    input.vips.clear();
    EXPECT_EQ(render(input).text, render_removal());
    input = sample_ruleset();
    input.routes.clear();
    EXPECT_EQ(render(input).text, render_removal());
}

TEST(Ruleset, without_a_guard_no_forward_chain) {
    RulesetInput input = sample_ruleset();
    input.guard_v4.clear();
    input.guard_v6.clear();
    EXPECT_THAT(render(input).text, Not(HasSubstr("hook forward")));
}

}  // namespace
}  // namespace hamr::router
