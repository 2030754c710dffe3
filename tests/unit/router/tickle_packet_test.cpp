// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/tickle_packet.hpp"

#include "router/ruleset.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using testing::HasSubstr;
using testing::Not;

/// RFC 1071 over the pseudo header and the segment; 0xffff when the checksum is right.
std::uint32_t checksum(const Endpoint& vip, const Endpoint& client, Bytes segment) {
    ByteWriter all;
    const std::size_t size = vip.address.is_v4() ? 4 : 16;
    all.write(std::as_bytes(std::span(vip.address.bytes())).first(size));
    all.write(std::as_bytes(std::span(client.address.bytes())).first(size));
    all.write(std::uint16_t{6});
    all.write(static_cast<std::uint16_t>(segment.size()));
    all.write(segment);
    ByteReader in(all.view());
    std::uint32_t sum = 0;
    while (in.left() > 1) sum += in.read<std::uint16_t>();
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

struct Row {
    const char* vip;
    const char* client;
    std::size_t header;
};

TEST(TicklePacketTest, is_an_acknowledgement_from_the_address_without_data) {
    for (const Row& row : {Row{"192.0.2.100:6446", "198.51.100.50:40000", 20},
                           Row{"[2001:db8::100]:6446", "[2001:db8:1::50]:40001", 40}}) {
        const Endpoint vip = *Endpoint::parse(row.vip);
        const Endpoint client = *Endpoint::parse(row.client);
        for (const bool far : {false, true}) {
            const TicklePacket packet = tickle_packet(vip, client, far);
            ASSERT_EQ(packet.size, row.header + 20);
            const Bytes segment = packet.view().subspan(row.header);
            EXPECT_EQ(checksum(vip, client, segment), 0xffffU) << row.vip;
            ByteReader in(segment);
            EXPECT_EQ(in.read<std::uint16_t>(), vip.port);
            EXPECT_EQ(in.read<std::uint16_t>(), client.port);
            EXPECT_EQ(in.read<std::uint32_t>(), far ? tickle_sequence_far : tickle_sequence);
            in.read<std::uint32_t>();
            EXPECT_EQ(in.read<std::uint16_t>(), 0x5010) << "no option, only ACK";
            EXPECT_EQ(in.read<std::uint16_t>(), tickle_window);
        }
    }
    EXPECT_EQ(tickle_sequence - tickle_sequence_far, 0x80000000U) << "half the number space apart";
}

TEST(TrackingTest, the_rules_track_and_drop_nothing) {
    const auto v4 = *IpAddress::parse("192.0.2.100");
    const auto v6 = *IpAddress::parse("2001:db8::100");
    const std::string both = render_tracking({v4, v6, v4});
    EXPECT_THAT(both, HasSubstr("elements = { 192.0.2.100 }"));
    EXPECT_THAT(both, HasSubstr("elements = { 2001:db8::100 }"));
    EXPECT_THAT(both, HasSubstr("ip daddr @vip4 meta l4proto tcp ct state new"));
    EXPECT_THAT(both, HasSubstr("ip6 saddr @vip6 tcp flags"));
    EXPECT_THAT(both, Not(HasSubstr("drop")));
    EXPECT_THAT(both, Not(HasSubstr("reject")));
    EXPECT_THAT(render_tracking({v4}), Not(HasSubstr("ip6")));
    EXPECT_EQ(render_tracking({}), render_removal());
}

}  // namespace
}  // namespace hamr::router
