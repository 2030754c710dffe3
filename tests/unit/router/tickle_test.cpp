// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/tickle.hpp"

#include "router/io/nft.hpp"
#include "router/ruleset.hpp"
#include "tests/unit/router/lab_net.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

// Client (198.51.100.50) - router (.1) - leader (192.0.2.12, VIP 192.0.2.100), IPv6 beside it, with
// strict reverse path filters. The leader forgets its connections in silence (TCP_REPAIR), as if it
// had never had them.

namespace hamr::router_io {
namespace {

class TickleTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        client_.emplace();
        middle_.emplace();
        leader_.emplace();
        ASSERT_TRUE(*client_ && *middle_ && *leader_);
        ASSERT_EQ(middle_->sh("ip link add r0 type veth peer name c0 netns " + client_->path() +
                              " && ip link add r1 type veth peer name l0 netns " + leader_->path() +
                              " && ip addr add 198.51.100.1/24 dev r0"
                              " && ip addr add 192.0.2.1/24 dev r1"
                              " && ip addr add 2001:db8:1::1/64 dev r0 nodad"
                              " && ip addr add 2001:db8::1/64 dev r1 nodad"
                              " && ip link set r0 up && ip link set r1 up"
                              " && sysctl -qw net.ipv4.ip_forward=1"
                              " net.ipv6.conf.all.forwarding=1"),
                  0);
        ASSERT_EQ(client_->sh("ip addr add 198.51.100.50/24 dev c0"
                              " && ip addr add 2001:db8:1::50/64 dev c0 nodad"
                              " && ip link set c0 up && ip route add default via 198.51.100.1"
                              " && ip -6 route add default via 2001:db8:1::1"),
                  0);
        ASSERT_EQ(leader_->sh("ip addr add 192.0.2.12/24 dev l0"
                              " && ip addr add 192.0.2.100/24 dev l0"
                              " && ip addr add 2001:db8::100/64 dev l0 nodad"
                              " && ip link set l0 up && ip route add default via 192.0.2.1"
                              " && ip -6 route add default via 2001:db8::1"
                              " && sysctl -qw net.ipv4.conf.all.rp_filter=1"
                              " net.ipv4.conf.l0.rp_filter=1"),
                  0);
        leader_->in([&] { EXPECT_TRUE(apply_blocking(router::render_tracking(vips))); });
    }

    static sockaddr_in6 raw(const Endpoint& at) {
        sockaddr_in6 storage{};
        if (at.address.is_v4()) {
            sockaddr_in v4{};
            v4.sin_family = AF_INET;
            v4.sin_port = htons(at.port);
            std::memcpy(&v4.sin_addr, at.address.bytes().data(), 4);
            std::memcpy(&storage, &v4, sizeof v4);
        } else {
            storage.sin6_family = AF_INET6;
            storage.sin6_port = htons(at.port);
            std::memcpy(&storage.sin6_addr, at.address.bytes().data(), 16);
        }
        return storage;
    }
    static UniqueFd tcp(const Endpoint& at) {
        return UniqueFd(::socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, 0));
    }

    UniqueFd listener(const Endpoint& at) {
        return leader_->in([&] {
            UniqueFd fd = tcp(at);
            const int on = 1;
            ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            const auto address = raw(at);
            EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
                      0);
            EXPECT_EQ(::listen(fd.get(), 64), 0);
            return fd;
        });
    }

    struct Connection {
        UniqueFd client;
        UniqueFd server;
        router::FlowId id;
    };
    Connection connect(const UniqueFd& to, const Endpoint& at) {
        Connection made;
        made.client = client_->in([&] { return tcp(at); });
        const auto address = raw(at);
        EXPECT_EQ(::connect(made.client.get(), reinterpret_cast<const sockaddr*>(&address),
                            sizeof address),
                  0);
        made.server = UniqueFd(::accept(to.get(), nullptr, nullptr));
        sockaddr_in6 own{};
        socklen_t length = sizeof own;
        ::getsockname(made.client.get(), reinterpret_cast<sockaddr*>(&own), &length);
        made.id.vip = at;
        made.id.client = {at.address.is_v4() ? *IpAddress::parse("198.51.100.50")
                                             : *IpAddress::parse("2001:db8:1::50"),
                          ntohs(own.sin6_port)};
        return made;
    }
    static void forget(Connection& connection) {
        const int on = 1;
        EXPECT_EQ(::setsockopt(connection.server.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on),
                  0);
        connection.server.reset();
    }
    /// The error of a socket that has ended within this time; 0: nothing happened.
    static int error_of(const UniqueFd& fd, int milliseconds) {
        pollfd wait{fd.get(), POLLIN, 0};
        if (::poll(&wait, 1, milliseconds) != 1) return 0;
        std::array<char, 16> buffer{};
        return ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) < 0 ? errno : -1;
    }
    bool send(Tickler& tickler, const std::vector<router::FlowId>& flows, bool far) {
        return leader_->in([&] {
            tickler.send(flows, far);
            return lab::run_until(io_, [&] { return tickler.idle(); });
        });
    }

    const std::vector<IpAddress> vips{*IpAddress::parse("192.0.2.100"),
                                      *IpAddress::parse("2001:db8::100")};
    std::optional<lab::Namespace> client_;
    std::optional<lab::Namespace> middle_;
    std::optional<lab::Namespace> leader_;
    boost::asio::io_context io_;
};

TEST_F(TickleTest, a_waiting_client_behind_a_router_is_reset) {
    for (const char* vip : {"192.0.2.100:6446", "[2001:db8::100]:6446"}) {
        for (const bool far : {false, true}) {
            const Endpoint at = *Endpoint::parse(vip);
            const UniqueFd on = listener(at);
            Connection lost = connect(on, at);
            Connection living = connect(on, at);
            forget(lost);
            // A host that never had them knows them not in its conntrack either.
            leader_->sh("conntrack -F >/dev/null 2>&1");
            Tickler tickler(io_.get_executor());
            // A socket that has just answered something else is silent for 500 ms.
            int error = 0;
            for (int again = 0; again < 3 && error == 0; ++again) {
                ASSERT_TRUE(send(tickler, {lost.id, living.id}, far));
                error = error_of(lost.client, 600);
            }
            EXPECT_EQ(error, ECONNRESET) << vip;
            EXPECT_EQ(error_of(living.client, 50), 0) << "who has a connection keeps it";
            EXPECT_EQ(::send(living.client.get(), "x", 1, MSG_NOSIGNAL), 1);
            EXPECT_EQ(error_of(living.server, 2000), -1);
            EXPECT_GE(tickler.sent(), 2U);
            EXPECT_EQ(tickler.unsent(), 0U) << tickler.reason();
        }
    }
}

TEST_F(TickleTest, thousands_go_out_and_who_cannot_be_reached_is_counted) {
    std::vector<router::FlowId> flows;
    const Endpoint vip = *Endpoint::parse("192.0.2.100:6446");
    for (std::uint16_t port = 1; port <= 10'000; ++port) {
        flows.push_back({{*IpAddress::parse("198.51.100.50"), port}, vip});
    }
    Tickler tickler(io_.get_executor());
    const BootTime begun = BootClock::now();
    ASSERT_TRUE(send(tickler, flows, false));
    std::printf("10,000 tickles in %.1f ms\n", to_ms(BootClock::now() - begun));
    EXPECT_EQ(tickler.sent(), 10'000U) << tickler.reason();
    ASSERT_EQ(leader_->sh("ip route del default"), 0);
    ASSERT_TRUE(send(tickler, {flows[0], flows[1]}, true));
    EXPECT_EQ(tickler.unsent(), 2U);
    EXPECT_EQ(tickler.reason(), "Network is unreachable");
}

}  // namespace
}  // namespace hamr::router_io
