// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/net/address.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace hamr {
namespace {

struct AddressRow {
    std::string name;
    std::string text;
    std::string printed;  // empty: refused
};

class AddressText : public testing::TestWithParam<AddressRow> {};

TEST_P(AddressText, ParsesOrRefuses) {
    const auto address = IpAddress::parse(GetParam().text);
    ASSERT_EQ(address.has_value(), !GetParam().printed.empty());
    if (address) {
        EXPECT_EQ(address->to_string(), GetParam().printed);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, AddressText,
    testing::Values(AddressRow{"v4", "192.0.2.1", "192.0.2.1"},
                    AddressRow{"v6", "2001:DB8:0:0::1", "2001:db8::1"},
                    AddressRow{"mapped", "::ffff:192.0.2.1", "::ffff:192.0.2.1"},
                    AddressRow{"short_v4", "192.0.2", ""},
                    AddressRow{"octal_like", "192.0.2.01", ""}, AddressRow{"name", "router1", ""},
                    AddressRow{"empty", "", ""}, AddressRow{"blank", " 192.0.2.1", ""},
                    AddressRow{"zone", "fe80::1%eth0", ""},
                    AddressRow{"brackets", "[2001:db8::1]", ""},
                    AddressRow{"zero_byte", std::string("192.0.2.1\0x", 11), ""}),
    [](const auto& row) { return row.param.name; });

TEST(Address, KnowsItsKind) {
    EXPECT_TRUE(IpAddress::parse("127.0.0.5")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
    EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("224.0.0.18")->is_multicast());
    EXPECT_TRUE(IpAddress::parse("255.255.255.255")->is_multicast());
    EXPECT_TRUE(IpAddress::parse("ff02::1")->is_multicast());
    EXPECT_FALSE(IpAddress::parse("192.0.2.1")->is_multicast());
    EXPECT_TRUE(IpAddress::parse("::")->is_unspecified());
    EXPECT_TRUE(IpAddress::parse("0.0.0.0")->is_unspecified());
    EXPECT_NE(*IpAddress::parse("::"), *IpAddress::parse("0.0.0.0"));
}

TEST(Prefix, ContainsByItsBitsOnly) {
    const auto prefix = IpPrefix::parse("192.0.2.100/28");
    ASSERT_TRUE(prefix);
    EXPECT_EQ(prefix->to_string(), "192.0.2.100/28");
    EXPECT_TRUE(prefix->contains(*IpAddress::parse("192.0.2.97")));
    EXPECT_FALSE(prefix->contains(*IpAddress::parse("192.0.2.112")));
    EXPECT_FALSE(prefix->contains(*IpAddress::parse("2001:db8::1")));
    EXPECT_TRUE(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("203.0.113.9")));
    EXPECT_TRUE(IpPrefix::parse("2001:db8::/65")->contains(*IpAddress::parse("2001:db8::1")));
    EXPECT_FALSE(
        IpPrefix::parse("2001:db8::/65")->contains(*IpAddress::parse("2001:db8:0:0:8000::")));
}

TEST(Prefix, RefusesWhatIsNone) {
    for (const char* text : {"192.0.2.1", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/", "/24",
                             "2001:db8::/129", "192.0.2.1/24x", "192.0.2.1/+24"}) {
        EXPECT_FALSE(IpPrefix::parse(text)) << text;
    }
}

TEST(EndpointText, ThereAndBack) {
    for (const char* text : {"192.0.2.21:3306", "[2001:db8::21]:3306"}) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint) << text;
        EXPECT_EQ(endpoint->to_string(), text);
    }
    for (const char* text : {"192.0.2.21", "192.0.2.21:0", "192.0.2.21:65536", "2001:db8::21:3306",
                             "[192.0.2.21]:3306", ":3306", "[]:1", "192.0.2.21:"}) {
        EXPECT_FALSE(Endpoint::parse(text)) << text;
    }
}

TEST(Mac, ThereAndBack) {
    const auto mac = MacAddress::parse("02:00:5e:00:53:FF");
    ASSERT_TRUE(mac);
    EXPECT_EQ(mac->to_string(), "02:00:5e:00:53:ff");
    for (const char* text : {"02:00:5e:00:53", "02-00-5e-00-53-01", "02:00:5e:00:53:0g", ""}) {
        EXPECT_FALSE(MacAddress::parse(text)) << text;
    }
}

}  // namespace
}  // namespace hamr
