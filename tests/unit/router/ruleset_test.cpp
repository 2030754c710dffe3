// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/ruleset.hpp"

#include "tests/unit/router/sample_ruleset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* golden = R"(add table inet hamr
delete table inet hamr
table inet hamr {
	comment "made by hamrd, which removes it when it stops"
	set vip4 {
		type ipv4_addr
		elements = { 192.0.2.100, 192.0.2.101 }
	}
	set vip6 {
		type ipv6_addr
		elements = { 2001:db8::100 }
	}
	chain stray {
		ct state invalid counter drop
		ct state new tcp flags & (fin | syn | rst | ack) != syn counter drop
	}
	chain strays {
		type filter hook prerouting priority mangle; policy accept;
		ip daddr @vip4 meta l4proto tcp jump stray
		ip6 daddr @vip6 meta l4proto tcp jump stray
	}
	chain to_198_51_100_21_3306 {
		meta l4proto tcp dnat ip to 198.51.100.21:3306
	}
	chain to_198_51_100_22_3306 {
		meta l4proto tcp dnat ip to 198.51.100.22:3306
	}
	chain to_198_51_100_23_3306 {
		meta l4proto tcp dnat ip to 198.51.100.23:3306
	}
	chain to_2001_db8_1__21_3306 {
		meta l4proto tcp dnat ip6 to [2001:db8:1::21]:3306
	}
	chain routes {
		type nat hook prerouting priority dstnat - 10; policy accept;
		ip daddr @vip4 tcp dport 6446 goto to_198_51_100_21_3306
		ip daddr @vip4 tcp dport 6447 numgen inc mod 2 vmap { 0 : goto to_198_51_100_22_3306, 1 : goto to_198_51_100_23_3306 }
		ip6 daddr @vip6 tcp dport 6446 goto to_2001_db8_1__21_3306
	}
	chain way_back {
		type nat hook postrouting priority srcnat - 10; policy accept;
		meta l4proto tcp ct status dnat ct original ip daddr @vip4 ct original proto-dst 6446 snat ip to ct original ip daddr
		meta l4proto tcp ct status dnat ct original ip daddr @vip4 ct original proto-dst 6447 snat ip to ct original ip daddr
		meta l4proto tcp ct status dnat ct original ip6 daddr @vip6 ct original proto-dst 6446 snat ip6 to ct original ip6 daddr
		meta l4proto tcp ct status dnat ct original ip6 daddr @vip6 ct original proto-dst 6447 snat ip6 to ct original ip6 daddr
	}
	chain unserved {
		type filter hook input priority filter - 10; policy accept;
		ip daddr @vip4 tcp dport { 6446, 6447 } counter reject with tcp reset
		ip6 daddr @vip6 tcp dport { 6446, 6447 } counter reject with tcp reset
	}
	chain guard {
		type filter hook forward priority filter - 10; policy accept;
		ct status dnat accept
		meta nfproto ipv4 iifname { "eth0", "eth1.7" } counter drop
		meta nfproto ipv6 counter drop
	}
	chain redirects {
		type filter hook output priority filter; policy accept;
		oifname { "eth0" } icmpv6 type nd-redirect drop
	}
}
)";

TEST(Ruleset, the_whole_table) {
    const Ruleset ruleset = render(sample_ruleset());
    EXPECT_EQ(ruleset.text, golden);
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
