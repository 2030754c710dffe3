// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/links.hpp"

#include <gtest/gtest.h>

namespace hamr::vip {
namespace {

const MacAddress mac = *MacAddress::parse("02:00:5e:00:53:01");
const LinkSeen eth0{InterfaceIndex{2}, "eth0", mac, true, true, false};
const LinkSeen eth1{InterfaceIndex{3}, "eth1", {}, true, true, false};
const IpPrefix own = *IpPrefix::parse("192.0.2.11/24");
const IpPrefix vip = *IpPrefix::parse("192.0.2.100/24");

TEST(Links, is_complete_after_the_first_snapshot_only) {
    Links links;
    links.apply(SnapshotBegin{});
    links.apply(eth0);
    EXPECT_FALSE(links.complete());
    links.apply(SnapshotEnd{});
    EXPECT_TRUE(links.complete());
    EXPECT_NE(links.find("eth0"), nullptr);
    EXPECT_EQ(links.find("eth9"), nullptr);
    EXPECT_TRUE(links.is_local(mac));
}

TEST(Links, follows_changes) {
    Links links;
    for (const KernelEvent& event : {KernelEvent{eth0}, KernelEvent{AddressSeen{eth0.index, own}},
                                     KernelEvent{AddressSeen{eth0.index, own}}}) {
        links.apply(event);
    }
    EXPECT_EQ(links.find(eth0.index)->addresses, std::vector{own});
    LinkSeen down = eth0;
    down.carrier = false;
    links.apply(down);
    EXPECT_FALSE(links.find(eth0.index)->seen.carrier);
    EXPECT_TRUE(links.find(eth0.index)->has(own));
    links.apply(AddressGone{eth0.index, own});
    EXPECT_FALSE(links.find(eth0.index)->has(own));
    links.apply(LinkGone{eth0.index});
    EXPECT_EQ(links.find(eth0.index), nullptr);
}

TEST(Links, a_second_snapshot_forgets_what_it_does_not_tell) {
    Links links;
    links.apply(eth0);
    links.apply(AddressSeen{eth0.index, own});
    links.apply(AddressSeen{eth0.index, vip});
    links.apply(eth1);
    links.apply(SnapshotBegin{});
    links.apply(eth0);
    EXPECT_NE(links.find("eth1"), nullptr) << "the old picture holds until the end";
    links.apply(AddressSeen{eth0.index, own});
    links.apply(SnapshotEnd{});
    EXPECT_EQ(links.find("eth1"), nullptr);
    EXPECT_EQ(links.find(eth0.index)->addresses, std::vector{own});
}

TEST(Links, changes_during_a_snapshot_survive_it) {
    Links links;
    links.apply(SnapshotBegin{});
    links.apply(eth0);
    links.apply(AddressSeen{eth0.index, own});
    links.apply(AddressGone{eth0.index, own});
    links.apply(AddressSeen{eth0.index, vip});
    links.apply(SnapshotEnd{});
    EXPECT_EQ(links.find(eth0.index)->addresses, std::vector{vip});
}

TEST(Links, an_interrupted_snapshot_starts_anew) {
    Links links;
    links.apply(SnapshotBegin{});
    links.apply(eth1);
    links.apply(SnapshotBegin{});
    links.apply(eth0);
    links.apply(SnapshotEnd{});
    EXPECT_EQ(links.all().size(), 1U);
    EXPECT_NE(links.find("eth0"), nullptr);
}

TEST(Links, an_address_of_an_unknown_interface_is_ignored) {
    Links links;
    links.apply(AddressSeen{InterfaceIndex{9}, own});
    EXPECT_TRUE(links.all().empty());
}

}  // namespace
}  // namespace hamr::vip
