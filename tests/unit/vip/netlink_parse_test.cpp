// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/io/netlink_parse.hpp"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace hamr::vip {
namespace {

/// A message with room to spare behind it, aligned as the parser expects.
class Raw {
  public:
    explicit Raw(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
    std::vector<std::byte>& bytes() { return bytes_; }

    static Raw link(int type, unsigned char family, bool named) {
        std::vector<std::byte> bytes(sizeof(nlmsghdr) + sizeof(ifinfomsg));
        ifinfomsg info{};
        info.ifi_family = family;
        info.ifi_index = 7;
        info.ifi_flags = 0x1 | 0x10000;
        std::memcpy(bytes.data() + sizeof(nlmsghdr), &info, sizeof info);
        if (named) {
            const nlattr attribute{4 + 5, IFLA_IFNAME};
            const auto* raw = reinterpret_cast<const std::byte*>(&attribute);
            bytes.insert(bytes.end(), raw, raw + sizeof attribute);
            for (const char c : {'e', 't', 'h', '7', '\0', '\0', '\0', '\0'}) {
                bytes.push_back(static_cast<std::byte>(c));
            }
        }
        Raw out(std::move(bytes));
        out.header()->nlmsg_len = static_cast<unsigned>(out.bytes().size());
        out.header()->nlmsg_type = static_cast<unsigned short>(type);
        return out;
    }

  private:
    std::vector<std::byte> bytes_;
};

TEST(NetlinkParse, requests_to_add_and_remove_read_back_as_events) {
    for (const char* text : {"192.0.2.100/24", "192.0.2.100/32", "2001:db8::100/64"}) {
        const IpPrefix prefix = *IpPrefix::parse(text);
        Raw add(add_address_request(1, InterfaceIndex{3}, prefix));
        EXPECT_EQ(parse_kernel_message(add.header()),
                  KernelEvent(AddressSeen{InterfaceIndex{3}, prefix}));
        Raw remove(remove_address_request(2, InterfaceIndex{3}, prefix));
        EXPECT_EQ(parse_kernel_message(remove.header()),
                  KernelEvent(AddressGone{InterfaceIndex{3}, prefix}));
    }
}

TEST(NetlinkParse, links_come_with_name_and_state) {
    Raw message = Raw::link(RTM_NEWLINK, AF_UNSPEC, true);
    EXPECT_EQ(parse_kernel_message(message.header()),
              KernelEvent(LinkSeen{InterfaceIndex{7}, "eth7", {}, true, true, false}));
    Raw gone = Raw::link(RTM_DELLINK, AF_UNSPEC, true);
    EXPECT_EQ(parse_kernel_message(gone.header()), KernelEvent(LinkGone{InterfaceIndex{7}}));
}

TEST(NetlinkParse, a_bridge_that_loses_a_port_is_no_link_that_goes) {
    Raw message = Raw::link(RTM_DELLINK, AF_BRIDGE, true);
    EXPECT_EQ(parse_kernel_message(message.header()), std::nullopt);
}

TEST(NetlinkParse, a_link_without_a_name_is_nothing) {
    Raw message = Raw::link(RTM_NEWLINK, AF_UNSPEC, false);
    EXPECT_EQ(parse_kernel_message(message.header()), std::nullopt);
}

TEST(NetlinkParse, short_messages_are_nothing) {
    Raw message(add_address_request(1, InterfaceIndex{3}, *IpPrefix::parse("192.0.2.100/24")));
    const unsigned whole = message.header()->nlmsg_len;
    for (unsigned size = sizeof(nlmsghdr); size < sizeof(nlmsghdr) + sizeof(ifaddrmsg); ++size) {
        message.header()->nlmsg_len = size;
        for (const int type : {RTM_NEWADDR, RTM_NEWLINK, RTM_DELQDISC}) {
            message.header()->nlmsg_type = static_cast<unsigned short>(type);
            EXPECT_EQ(parse_kernel_message(message.header()), std::nullopt) << size;
        }
    }
    EXPECT_GT(whole, sizeof(nlmsghdr));
}

TEST(NetlinkParse, a_prefix_longer_than_the_address_is_nothing) {
    Raw message(add_address_request(1, InterfaceIndex{3}, *IpPrefix::parse("192.0.2.100/24")));
    message.bytes()[sizeof(nlmsghdr) + 1] = std::byte{64};
    EXPECT_EQ(parse_kernel_message(message.header()), std::nullopt);
}

}  // namespace
}  // namespace hamr::vip
