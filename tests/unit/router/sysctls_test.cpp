// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/sysctls.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::ptrdiff_t place(const std::vector<Sysctl>& list, const std::string& path) {
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const Sysctl& s) { return s.path == path; });
    return found == list.end() ? -1 : found - list.begin();
}

TEST(Sysctls, every_setting_has_a_reason_and_a_place) {
    for (const Sysctl& setting : embedded_router_sysctls({{"eth0", "eth1"}, true, true})) {
        EXPECT_FALSE(setting.why.empty()) << setting.path;
        EXPECT_EQ(setting.path.rfind("net/", 0), 0u) << setting.path;
    }
}

TEST(Sysctls, redirects_are_off_before_forwarding_is_on) {
    const auto list = embedded_router_sysctls({{"eth0.7"}, false, false});
    EXPECT_GE(place(list, "net/ipv4/conf/all/send_redirects"), 0);
    EXPECT_LT(place(list, "net/ipv4/conf/eth0.7/send_redirects"),
              place(list, "net/ipv4/conf/eth0.7/forwarding"));
}

TEST(Sysctls, ipv6_is_left_alone_without_an_ipv6_vip) {
    for (const Sysctl& setting : embedded_router_sysctls({{"eth0"}, false, true})) {
        EXPECT_THAT(setting.path, testing::Not(HasSubstr("ipv6")));
    }
}

TEST(Sysctls, old_kernels_keep_listening_to_router_advertisements) {
    const auto list = embedded_router_sysctls({{"eth0"}, true, false});
    const auto accept = place(list, "net/ipv6/conf/eth0/accept_ra");
    ASSERT_GE(accept, 0);
    EXPECT_EQ(list[static_cast<std::size_t>(accept)].only_if, "1");
    EXPECT_LT(accept, place(list, "net/ipv6/conf/all/forwarding"));
}

TEST(Sysctls, new_kernels_forward_ipv6_per_interface) {
    const auto list = embedded_router_sysctls({{"eth0"}, true, true});
    EXPECT_GE(place(list, "net/ipv6/conf/eth0/force_forwarding"), 0);
    EXPECT_EQ(place(list, "net/ipv6/conf/all/forwarding"), -1);
}

TEST(Sysctls, guards_are_where_forwarding_was_off) {
    const SysctlInput input{{"eth0", "eth1"}, true, true};
    const Guards guards = forward_guards(input, {{"net/ipv4/conf/eth1/forwarding", "0", ""},
                                                 {"net/ipv6/conf/eth0/force_forwarding", "0", ""}});
    EXPECT_THAT(guards.v4, ElementsAre("eth1"));
    EXPECT_THAT(guards.v6, ElementsAre("eth0"));
    EXPECT_THAT(forward_guards(input, {{"net/ipv6/conf/all/forwarding", "0", ""}}).v6,
                ElementsAre("*"));
    EXPECT_THAT(forward_guards(input, {}).v4, IsEmpty());
}

}  // namespace
}  // namespace hamr::router
