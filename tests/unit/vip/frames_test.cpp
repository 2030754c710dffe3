// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/frames.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace hamr::vip {
namespace {

const IpAddress v4 = *IpAddress::parse("192.0.2.100");
const IpAddress v6 = *IpAddress::parse("2001:db8::100");
const MacAddress mac = *MacAddress::parse("02:00:5e:00:53:01");

std::vector<unsigned> bytes(const Frame& frame) {
    std::vector<unsigned> out;
    for (const std::byte b : frame.view()) out.push_back(std::to_integer<unsigned>(b));
    return out;
}

std::vector<std::byte> copy(const Frame& frame) {
    return {frame.view().begin(), frame.view().end()};
}

TEST(Frames, gratuitous_arp_request_is_what_rfc_5227_section_3_says) {
    std::vector<unsigned> expected{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x00, 0x53,
                                   0x01, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6,    4,    0x00, 0x01,
                                   0x02, 0x00, 0x5e, 0x00, 0x53, 0x01, 192,  0,    2,    100,  0,
                                   0,    0,    0,    0,    0,    192,  0,    2,    100};
    expected.resize(60);
    EXPECT_EQ(bytes(gratuitous_arp_request(v4, mac)), expected);
}

TEST(Frames, gratuitous_arp_reply_differs_in_operation_and_target) {
    const auto frame = bytes(gratuitous_arp_reply(v4, mac));
    EXPECT_EQ(frame[21], 2U);
    for (std::size_t i = 32; i < 38; ++i) EXPECT_EQ(frame[i], 0xffU);
    EXPECT_EQ(frame.size(), 60U);
}

TEST(Frames, neighbour_advertisement_is_what_rfc_4861_section_4_4_says) {
    // The checksum was computed by hand from RFC 4443 section 2.3, not by the code under test.
    const std::vector<unsigned> expected{
        0x33, 0x33, 0,    0,    0,    1,    0x02, 0x00, 0x5e, 0x00, 0x53, 0x01, 0x86, 0xdd,  //
        0x60, 0,    0,    0,    0,    32,   58,   255,                                       //
        0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0x01, 0x00,  //
        0xff, 0x02, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0,    1,                                      //
        136,  0,    0,    0,    0x20, 0,    0,    0,  // checksum filled in below
        0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0x01, 0x00,  //
        2,    1,    0x02, 0x00, 0x5e, 0x00, 0x53, 0x01};
    std::uint32_t sum = 32 + 58;
    for (std::size_t i = 22; i < expected.size(); i += 2) sum += expected[i] << 8 | expected[i + 1];
    sum = (sum >> 16) + (sum & 0xffff);
    const std::uint32_t checksum = ~((sum >> 16) + sum) & 0xffff;
    auto with_checksum = expected;
    with_checksum[56] = checksum >> 8;
    with_checksum[57] = checksum & 0xff;
    EXPECT_EQ(bytes(neighbour_advertisement(v6, mac, false)), with_checksum);
}

TEST(Frames, router_flag_is_set_when_asked) {
    EXPECT_EQ(bytes(neighbour_advertisement(v6, mac, true))[58], 0xa0U);
    EXPECT_EQ(bytes(neighbour_advertisement(v6, mac, false))[58], 0x20U);
}

TEST(Frames, an_arp_solicitation_asks_for_the_address_and_claims_its_source_only) {
    const IpAddress own = *IpAddress::parse("192.0.2.11");
    const auto frame = bytes(solicitation(v4, own, mac));
    EXPECT_EQ(frame[21], 1U);
    EXPECT_EQ((std::vector<unsigned>{frame.begin() + 28, frame.begin() + 42}),
              (std::vector<unsigned>{192, 0, 2, 11, 0, 0, 0, 0, 0, 0, 192, 0, 2, 100}));
    EXPECT_EQ(parse_claim(solicitation(v4, own, mac).view()),
              (Claim{ClaimKind::arp_request, own, mac}));
    EXPECT_EQ(parse_claim(solicitation(v4, *IpAddress::parse("0.0.0.0"), mac).view()), std::nullopt)
        << "a probe";
}

TEST(Frames, a_neighbour_solicitation_is_what_rfc_4861_section_4_3_says) {
    const IpAddress own = *IpAddress::parse("2001:db8::11");
    const auto frame = bytes(solicitation(v6, own, mac));
    // To ff02::1:ff00:100 and its Ethernet group (RFC 2464 section 7).
    EXPECT_EQ((std::vector<unsigned>{frame.begin(), frame.begin() + 6}),
              (std::vector<unsigned>{0x33, 0x33, 0xff, 0x00, 0x01, 0x00}));
    EXPECT_EQ((std::vector<unsigned>{frame.begin() + 49, frame.begin() + 54}),
              (std::vector<unsigned>{1, 0xff, 0x00, 0x01, 0x00}));
    EXPECT_EQ(frame[54], 135U);
    EXPECT_EQ(frame[58], 0U);
    EXPECT_EQ((std::vector<unsigned>{frame.begin() + 78, frame.end()}),
              (std::vector<unsigned>{1, 1, 0x02, 0x00, 0x5e, 0x00, 0x53, 0x01}));
    // It reads as what it is, which needs a right checksum, too.
    EXPECT_EQ(parse_claim(solicitation(v6, own, mac).view()),
              (Claim{ClaimKind::neighbour_solicitation, own, mac}));
}

TEST(Frames, announcement_has_both_arp_forms_and_one_advertisement) {
    EXPECT_EQ(announcement(v4, mac, false).count, 2U);
    EXPECT_EQ(announcement(v6, mac, false).count, 1U);
}

TEST(Claims, own_frames_read_back) {
    EXPECT_EQ(parse_claim(gratuitous_arp_request(v4, mac).view()),
              (Claim{ClaimKind::arp_request, v4, mac}));
    EXPECT_EQ(parse_claim(gratuitous_arp_reply(v4, mac).view()),
              (Claim{ClaimKind::arp_reply, v4, mac}));
    EXPECT_EQ(parse_claim(neighbour_advertisement(v6, mac, true).view()),
              (Claim{ClaimKind::neighbour_advertisement, v6, mac}));
}

TEST(Claims, vlan_tags_are_skipped) {
    for (const int tags : {1, 2}) {
        auto frame = copy(gratuitous_arp_reply(v4, mac));
        const std::array<std::byte, 4> tag{std::byte{0x81}, std::byte{0}, std::byte{0},
                                           std::byte{10}};
        for (int i = 0; i < tags; ++i) frame.insert(frame.begin() + 12, tag.begin(), tag.end());
        EXPECT_EQ(parse_claim(frame), (Claim{ClaimKind::arp_reply, v4, mac})) << tags;
    }
}

TEST(Claims, a_probe_claims_nothing) {
    const Frame probe = gratuitous_arp_request(IpAddress::v4({0, 0, 0, 0}), mac);
    EXPECT_EQ(parse_claim(probe.view()), std::nullopt);
}

TEST(Claims, malformed_arp_claims_nothing) {
    struct Row {
        const char* name;
        std::size_t at;
        unsigned value;
    };
    for (const Row& row :
         {Row{"hardware", 15, 6}, Row{"protocol", 16, 0x86}, Row{"mac size", 18, 8},
          Row{"address size", 19, 16}, Row{"operation", 21, 9}}) {
        auto frame = copy(gratuitous_arp_request(v4, mac));
        frame[row.at] = static_cast<std::byte>(row.value);
        EXPECT_EQ(parse_claim(frame), std::nullopt) << row.name;
    }
}

TEST(Claims, an_advertisement_changed_anywhere_in_its_checksummed_part_is_ignored) {
    for (std::size_t at = 18; at < 86; ++at) {
        auto frame = copy(neighbour_advertisement(v6, mac, false));
        frame[at] ^= std::byte{0x01};
        EXPECT_EQ(parse_claim(frame), std::nullopt) << at;
    }
}

TEST(Claims, an_advertisement_from_beyond_the_link_is_ignored) {
    auto frame = copy(neighbour_advertisement(v6, mac, false));
    frame[21] = std::byte{254};
    EXPECT_EQ(parse_claim(frame), std::nullopt);
}

TEST(Claims, no_prefix_of_a_frame_is_a_claim) {
    for (const Frame& frame :
         {gratuitous_arp_request(v4, mac), neighbour_advertisement(v6, mac, false)}) {
        const std::size_t complete = frame.size() == 60 ? 32 : frame.size();
        for (std::size_t size = 0; size < complete; ++size) {
            EXPECT_EQ(parse_claim(frame.view().first(size)), std::nullopt) << size;
        }
    }
}

}  // namespace
}  // namespace hamr::vip
