// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/ruleset.hpp"

#include "tests/unit/router/sample_ruleset.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using testing::ElementsAre;
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
    EXPECT_THAT(ruleset.text, Not(HasSubstr("dnat ip to")));
    EXPECT_THAT(ruleset.text, Not(HasSubstr("dnat ip6 to")));
    EXPECT_THAT(ruleset.text,
                HasSubstr("tcp dport { 6446, 6447 } tcp flags & (fin | syn | rst | ack) == syn "
                          "counter reject with tcp reset"));
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

TEST(Ruleset, without_a_guard_everything_else_is_forwarded_as_before) {
    RulesetInput input = sample_ruleset();
    input.guard_v4.clear();
    input.guard_v6.clear();
    EXPECT_THAT(render(input).text, Not(HasSubstr("chain guard")));
}

TEST(Ruleset, a_new_one_leaves_the_reset_sets_alone) {
    const std::string text = render(sample_ruleset()).text;
    EXPECT_THAT(text, Not(HasSubstr("delete table")));
    EXPECT_THAT(text, HasSubstr("flush table inet hamr\n"));
    EXPECT_THAT(text, HasSubstr("flush set inet hamr vip4\n"));
    EXPECT_THAT(text, Not(HasSubstr("flush set inet hamr reset")));
}

Way way(const char* from, const char* to) {
    return {*Endpoint::parse(from), *Endpoint::parse(to)};
}

TEST(Resets, each_way_is_an_element_of_its_familys_set) {
    const std::vector<Way> ways = {way("192.0.2.50:40000", "192.0.2.100:6446"),
                                   way("[2001:db8::50]:40000", "[2001:db8::100]:6446"),
                                   way("198.51.100.21:3306", "192.0.2.100:40000")};
    EXPECT_THAT(
        render_resets(ways),
        ElementsAre(
            "add element inet hamr reset4 { 192.0.2.50 . 40000 . 192.0.2.100 . 6446, "
            "198.51.100.21 . 3306 . 192.0.2.100 . 40000 }\n",
            "add element inet hamr reset6 { 2001:db8::50 . 40000 . 2001:db8::100 . 6446 }\n"));
}

TEST(Resets, nothing_to_reset_is_no_text) {
    EXPECT_THAT(render_resets({}), IsEmpty());
    EXPECT_THAT(render_resets({way("192.0.2.50:40000", "[2001:db8::100]:6446")}), IsEmpty())
        << "no packet has addresses of two families";
}

TEST(Resets, many_come_in_several_texts) {
    std::vector<Way> ways(2 * resets_per_text + 1, way("192.0.2.50:1", "192.0.2.100:6446"));
    const auto texts = render_resets(ways);
    ASSERT_THAT(texts, SizeIs(3));
    const auto count = [](const std::string& text, char what) {
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), what));
    };
    for (const std::string& text : texts) {
        EXPECT_EQ(count(text, '{'), count(text, '}'));
        EXPECT_EQ(count(text, '\n'), count(text, '}'));
    }
    EXPECT_EQ(count(texts[0], ',') + count(texts[0], '{'), resets_per_text);
    EXPECT_EQ(count(texts[2], ',') + count(texts[2], '{'), 1);
}

}  // namespace
}  // namespace hamr::router
