// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/vip/netns.hpp"
#include "vip/frames.hpp"
#include "vip/io/claim_listener.hpp"
#include "vip/io/packet_socket.hpp"

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

namespace hamr::vip {
namespace {

using namespace test;
using namespace std::chrono_literals;

const IpAddress vip4 = *IpAddress::parse("192.0.2.100");
const IpAddress other4 = *IpAddress::parse("192.0.2.101");
const IpAddress vip6 = *IpAddress::parse("2001:db8::100");
const IpAddress other6 = *IpAddress::parse("2001:db8::101");
const MacAddress mac = *MacAddress::parse("02:00:5e:00:53:99");

TEST(PacketSocket, sends_frames_as_they_are) {
    HAMR_IN_NAMESPACE([] {
        auto socket = PacketSocket::open();
        ASSERT_TRUE(socket) << socket.error().message();
        Wire wire;
        const Frame frame = gratuitous_arp_request(vip4, mac);
        EXPECT_TRUE(wire.sends([&] { EXPECT_TRUE(socket->send(index_of("near"), frame.view())); },
                               [&](const Octets& seen) { return seen == octets(frame.view()); }));
    });
}

TEST(PacketSocket, names_what_went_wrong) {
    HAMR_IN_NAMESPACE([] {
        auto socket = PacketSocket::open();
        ASSERT_TRUE(socket);
        const Announce nowhere{InterfaceIndex{4711}, vip4, mac};
        auto sent = socket->send(nowhere);
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code.value(), ENXIO);
        ASSERT_TRUE(shell("ip link set near down"));
        sent = socket->send(Announce{index_of("near"), vip6, mac});
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code.value(), ENETDOWN);
        EXPECT_FALSE(socket->send(index_of("near"), Bytes{}));
    });
}

/// A listener on near, and what it heard.
struct Ears {
    explicit Ears(const std::vector<IpAddress>& addresses)
        : listener(ClaimListener::open(context.get_executor(), index_of("near"), addresses,
                                       [this](InterfaceIndex index, const Claim& claim) {
                                           EXPECT_EQ(index, index_of("near"));
                                           claims.push_back(claim);
                                       })) {
        EXPECT_TRUE(listener) << listener.error().message();
    }

    /// What is heard up to the claim that is sure to come last.
    std::vector<Claim> hear(const Claim& last) {
        const BootTime deadline = BootClock::now() + patience;
        while (claims.empty() || claims.back() != last) {
            if (BootClock::now() > deadline) break;
            context.run_one_for(10ms);
        }
        return std::exchange(claims, {});
    }

    boost::asio::io_context context;
    std::vector<Claim> claims;
    Result<ClaimListener> listener;
};

TEST(ClaimListener, hears_who_claims_our_addresses_and_nothing_else) {
    HAMR_IN_NAMESPACE([] {
        Ears ears({other4, vip4, other6, vip6});
        const Port far("far");
        const auto send = [&](const Frame& frame) { far.send(frame.view()); };
        send(gratuitous_arp_request(IpAddress::v4({192, 0, 2, 102}), mac));
        far.send(udp_frame(vip4));
        send(gratuitous_arp_request(vip4, mac));
        send(gratuitous_arp_reply(vip4, mac));
        const Claim last4{ClaimKind::arp_reply, vip4, mac};
        EXPECT_EQ(ears.hear(last4), (std::vector{Claim{ClaimKind::arp_request, vip4, mac}, last4}));

        send(neighbour_advertisement(*IpAddress::parse("2001:db8::102"), mac, false));
        far.send(udp_frame(vip6));
        far.send(question(vip6));
        send(neighbour_advertisement(other6, mac, true));
        send(neighbour_advertisement(vip6, mac, false));
        const Claim last6{ClaimKind::neighbour_advertisement, vip6, mac};
        EXPECT_EQ(ears.hear(last6),
                  (std::vector{Claim{ClaimKind::neighbour_advertisement, other6, mac}, last6}));
    });
}

TEST(ClaimListener, a_flood_does_not_keep_the_loop_from_its_work) {
    HAMR_IN_NAMESPACE([] {
        Ears ears({vip4});
        const Port far("far");
        constexpr std::size_t flood = 3 * ClaimListener::frames_per_wake;
        for (std::size_t i = 0; i < flood; ++i) far.send(gratuitous_arp_reply(vip4, mac).view());
        std::size_t rounds = 0;
        const BootTime deadline = BootClock::now() + patience;
        while (ears.claims.size() < flood && BootClock::now() < deadline) {
            const std::size_t before = ears.claims.size();
            ears.context.run_one_for(10ms);
            EXPECT_LE(ears.claims.size() - before,
                      static_cast<std::size_t>(ClaimListener::frames_per_wake));
            ++rounds;
        }
        EXPECT_EQ(ears.claims.size(), flood);
        EXPECT_GE(rounds, 3U);
    });
}

TEST(ClaimListener, the_largest_number_of_addresses_fits_into_the_filter) {
    HAMR_IN_NAMESPACE([] {
        std::vector<IpAddress> addresses;
        for (std::size_t i = 0; i < ClaimListener::most_addresses; ++i) {
            auto bytes = vip6.bytes();
            bytes[12] = static_cast<std::uint8_t>(i >> 8);
            bytes[13] = static_cast<std::uint8_t>(i & 0xff);
            addresses.push_back(IpAddress::v6(bytes));
        }
        Ears ears(addresses);
        const Port far("far");
        far.send(neighbour_advertisement(addresses.back(), mac, false).view());
        const Claim last{ClaimKind::neighbour_advertisement, addresses.back(), mac};
        EXPECT_EQ(ears.hear(last), std::vector{last});
        addresses.push_back(vip4);
        boost::asio::io_context context;
        EXPECT_FALSE(ClaimListener::open(context.get_executor(), index_of("near"), addresses,
                                         [](InterfaceIndex, const Claim&) {}));
    });
}

TEST(ClaimListener, an_interface_that_is_not_there_is_an_error) {
    HAMR_IN_NAMESPACE([] {
        boost::asio::io_context context;
        const std::vector<IpAddress> addresses{vip4};
        const auto opened = ClaimListener::open(context.get_executor(), InterfaceIndex{4711},
                                                addresses, [](InterfaceIndex, const Claim&) {});
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().message(), "listen on interface 4711: No such device");
    });
}

}  // namespace
}  // namespace hamr::vip
