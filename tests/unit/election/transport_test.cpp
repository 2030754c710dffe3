// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/io/transport.hpp"

#include "base/unique_fd.hpp"
#include "election/auth.hpp"
#include "election/io/sockets.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// Over loopback, on ports that the kernel chooses.

namespace hamr::election_io {

namespace {

constexpr NodeId node_a{1};
constexpr NodeId node_b{2};

Endpoint any_port(std::string_view address) {
    return {*IpAddress::parse(address), 0};
}

struct Received {
    std::string text;
    Endpoint source;
    int path = -1;
};

Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

class TransportTest : public ::testing::Test {
  protected:
    Result<Transport> open(std::vector<Endpoint> own, std::vector<Received>& inbox) {
        return Transport::open(
            io_, own, [&inbox](Bytes datagram, const Endpoint& source, int path) {
                inbox.push_back(
                    {std::string(reinterpret_cast<const char*>(datagram.data()), datagram.size()),
                     source, path});
            });
    }

    /// Runs the loop until `done`, for ten seconds at most.
    bool run_until(const std::function<bool()>& done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (!done()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            io_.restart();
            io_.run_one_for(std::chrono::milliseconds{100});
        }
        return true;
    }

    boost::asio::io_context io_;
};

TEST_F(TransportTest, a_datagram_goes_over_every_path_and_names_it) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1"), any_port("127.0.0.2")}, at_a);
    auto b = open({any_port("127.0.0.3"), any_port("127.0.0.4")}, at_b);
    ASSERT_TRUE(a && b);
    const auto from_a = a->local();
    const auto from_b = b->local();
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, from_b}}));
    ASSERT_TRUE(b->set_peers(std::vector<PeerEndpoints>{{node_a, from_a}}));

    a->send(bytes_of("hello"), node_b);
    ASSERT_TRUE(run_until([&] { return at_b.size() == 2; }));
    for (const Received& got : at_b) {
        EXPECT_EQ(got.text, "hello");
        const std::size_t index = got.source == from_a[0] ? 0 : 1;
        EXPECT_EQ(got.source, from_a[index]);
        EXPECT_EQ(got.path, path_index(index, index));
    }
    EXPECT_NE(at_b[0].path, at_b[1].path);

    b->send_all(bytes_of("answer"));
    ASSERT_TRUE(run_until([&] { return at_a.size() == 2; }));
    EXPECT_EQ(b->paths()[0].sent, 1U);
    EXPECT_EQ(b->paths()[1].sent, 1U);
    EXPECT_EQ(a->received(), 2U);
    EXPECT_EQ(a->received_unknown(), 0U);
}

TEST_F(TransportTest, ipv6_and_ipv4_side_by_side_in_any_order) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1"), any_port("::1")}, at_a);
    auto b = open({any_port("::1"), any_port("127.0.0.2")}, at_b);
    ASSERT_TRUE(a && b) << (a ? b.error().message() : a.error().message());
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    ASSERT_TRUE(b->set_peers(std::vector<PeerEndpoints>{{node_a, a->local()}}));
    a->send_all(bytes_of("x"));
    ASSERT_TRUE(run_until([&] { return at_b.size() == 2; }));
    for (const Received& got : at_b) {
        EXPECT_EQ(got.path, got.source.address.is_v4() ? path_index(1, 0) : path_index(0, 1));
    }
}

TEST_F(TransportTest, a_peer_with_more_addresses_is_reached_at_all_of_them) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1")}, at_a);
    auto b = open({any_port("127.0.0.2"), any_port("127.0.0.3"), any_port("::1")}, at_b);
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    ASSERT_TRUE(b->set_peers(std::vector<PeerEndpoints>{{node_a, a->local()}}));
    EXPECT_EQ(a->paths().size(), 2U);  // no IPv6 here, so none to there
    a->send_all(bytes_of("x"));
    ASSERT_TRUE(run_until([&] { return at_b.size() == 2; }));
    EXPECT_NE(at_b[0].path, at_b[1].path);
}

TEST_F(TransportTest, where_frames_of_a_peer_arrive_follows_from_both_lists) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1")}, at_a);
    auto b = open({any_port("127.0.0.2"), any_port("127.0.0.3"), any_port("::1")}, at_b);
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    ASSERT_TRUE(b->set_peers(std::vector<PeerEndpoints>{{node_a, a->local()}}));
    const std::vector<Arrival> one{{node_b, a->local()[0], b->local()[0], path_index(0, 0)}};
    EXPECT_TRUE(std::ranges::equal(a->arrivals(), one)) << "it has one address to be reached at";
    const std::vector<Arrival> two{{node_a, b->local()[0], a->local()[0], path_index(0, 0)},
                                   {node_a, b->local()[1], a->local()[0], path_index(1, 0)}};
    EXPECT_TRUE(std::ranges::equal(b->arrivals(), two));

    a->send_all(bytes_of("x"));
    b->send_all(bytes_of("x"));
    ASSERT_TRUE(run_until([&] { return at_b.size() == 2 && !at_a.empty(); }));
    EXPECT_EQ(at_a[0].path, one[0].path);
    EXPECT_NE(at_b[0].path, at_b[1].path);
    for (const Received& got : at_b) {
        EXPECT_TRUE(got.path == two[0].path || got.path == two[1].path);
    }
}

TEST_F(TransportTest, a_stranger_is_delivered_as_one) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1")}, at_a);
    auto b = open({any_port("127.0.0.2")}, at_b);
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    a->send_all(bytes_of("who am I"));
    ASSERT_TRUE(run_until([&] { return at_b.size() == 1; }));
    EXPECT_EQ(at_b[0].path, unknown_path);
    EXPECT_EQ(b->received_unknown(), 1U);
}

TEST_F(TransportTest, more_than_a_batch_arrives_in_order) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1")}, at_a);
    auto b = open({any_port("127.0.0.2")}, at_b);
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    constexpr std::size_t count = receive_batch * 3 + 1;
    for (std::size_t i = 0; i < count; ++i) a->send(bytes_of(std::to_string(i)), node_b);
    ASSERT_TRUE(run_until([&] { return at_b.size() == count; }));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(at_b[i].text, std::to_string(i));
}

TEST_F(TransportTest, a_datagram_too_long_stays_too_long) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a = open({any_port("127.0.0.1")}, at_a);
    auto b = open({any_port("127.0.0.2")}, at_b);
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    a->send_all(bytes_of(std::string(election::max_datagram_bytes, 'x')));
    a->send_all(bytes_of(std::string(60'000, 'y')));
    a->send_all({});
    ASSERT_TRUE(run_until([&] { return at_b.size() == 3; }));
    EXPECT_EQ(at_b[0].text, std::string(election::max_datagram_bytes, 'x'));
    EXPECT_GT(at_b[1].text.size(), election::max_datagram_bytes);
    EXPECT_TRUE(at_b[2].text.empty());
}

TEST_F(TransportTest, an_address_that_is_not_there_yet_is_no_error) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    auto a =
        open({any_port("192.0.2.250"), any_port("2001:db8::250"), any_port("127.0.0.1")}, at_a);
    ASSERT_TRUE(a) << a.error().message();
    auto b = open({any_port("127.0.0.2")}, at_b);
    ASSERT_TRUE(b) << b.error().message();
    // The first two by the socket that cannot send, the third by one that can.
    const Endpoint to = b->local().front();
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, {to, to, to}}}));
    a->send_all(bytes_of("x"));
    ASSERT_TRUE(run_until([&] { return !at_b.empty(); }));
    ASSERT_EQ(a->paths().size(), 3U);
    EXPECT_EQ(a->paths()[0].failed, 1U);
    EXPECT_NE(a->paths()[0].last_errno, 0);
    EXPECT_EQ(a->paths()[1].failed, 1U);
    EXPECT_EQ(a->paths()[2].sent, 1U);
    EXPECT_EQ(a->paths()[2].last_errno, 0);
}

// Gives `lo` of the calling thread's namespace another address (as the alias lo:1) and brings it
// up.
bool add_to_loopback(std::string_view address) {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const SocketAddress as_kernel = to_socket_address(any_port(address));
    ifreq request{};
    std::string("lo:1").copy(request.ifr_name, IFNAMSIZ - 1);
    std::memcpy(&request.ifr_addr, as_kernel.get(), sizeof(request.ifr_addr));
    if (::ioctl(fd.get(), SIOCSIFADDR, &request) != 0) return false;
    ifreq up{};
    std::string("lo").copy(up.ifr_name, IFNAMSIZ - 1);
    up.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    return ::ioctl(fd.get(), SIOCSIFFLAGS, &up) == 0;
}

// In a namespace without a name, which ends with its only thread.
TEST_F(TransportTest, an_address_that_appears_works_from_then_on) {
    bool may = true;
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    std::thread host([&] {
        may = ::unshare(CLONE_NEWNET) == 0;
        if (!may) return;
        auto a = open({any_port("192.0.2.250")}, at_a);
        auto b = open({any_port("192.0.2.250")}, at_b);
        ASSERT_TRUE(a && b);
        ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
        a->send_all(bytes_of("too early"));
        EXPECT_EQ(a->paths()[0].failed, 1U);
        ASSERT_TRUE(add_to_loopback("192.0.2.250"));
        a->send_all(bytes_of("in time"));
        EXPECT_EQ(a->paths()[0].sent, 1U);
        ASSERT_TRUE(run_until([&] { return !at_b.empty(); }));
    });
    host.join();
    if (!may) GTEST_SKIP() << "needs the right to make a network namespace";
    ASSERT_EQ(at_b.size(), 1U);
    EXPECT_EQ(at_b[0].text, "in time");
}

TEST_F(TransportTest, a_taken_port_is_named) {
    std::vector<Received> inbox;
    auto first = open({any_port("127.0.0.1")}, inbox);
    ASSERT_TRUE(first);
    const auto again = open(first->local(), inbox);
    ASSERT_FALSE(again);
    const std::string port = std::to_string(first->local().front().port);
    EXPECT_EQ(again.error().message(),
              "port " + port + " is taken on 127.0.0.1: is another hamrd running?");
}

TEST_F(TransportTest, what_cannot_work_is_refused_and_changes_nothing) {
    std::vector<Received> inbox;
    auto a = open({any_port("127.0.0.1")}, inbox);
    ASSERT_TRUE(a);
    const Endpoint v4{*IpAddress::parse("127.0.0.2"), 9};
    const Endpoint v6{*IpAddress::parse("::1"), 9};
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, {v4}}}));
    EXPECT_FALSE(a->set_peers(std::vector<PeerEndpoints>{{node_b, {v6}}}));
    EXPECT_FALSE(a->set_peers(std::vector<PeerEndpoints>{{node_b, {}}}));
    EXPECT_FALSE(a->set_peers(
        std::vector<PeerEndpoints>{{node_b, std::vector<Endpoint>(max_addresses + 1, v4)}}));
    ASSERT_EQ(a->paths().size(), 1U);
    EXPECT_EQ(a->paths()[0].to, v4);
    EXPECT_FALSE(open({}, inbox));
    EXPECT_FALSE(open(std::vector<Endpoint>(max_addresses + 1, any_port("127.0.0.1")), inbox));
}

TEST_F(TransportTest, peers_can_be_replaced) {
    std::vector<Received> at_a;
    std::vector<Received> at_b;
    std::vector<Received> at_c;
    auto a = open({any_port("127.0.0.1")}, at_a);
    auto b = open({any_port("127.0.0.2")}, at_b);
    auto c = open({any_port("127.0.0.3")}, at_c);
    ASSERT_TRUE(a && b && c);
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{NodeId{3}, c->local()}}));
    a->send(bytes_of("gone"), node_b);
    a->send_all(bytes_of("x"));
    ASSERT_TRUE(run_until([&] { return at_c.size() == 1; }));
    EXPECT_TRUE(at_b.empty());
}

TEST_F(TransportTest, the_callback_may_destroy_its_transport) {
    std::vector<Received> at_a;
    auto a = open({any_port("127.0.0.1")}, at_a);
    ASSERT_TRUE(a);
    std::unique_ptr<Transport> b;
    int calls = 0;
    const std::vector<Endpoint> own{any_port("127.0.0.2"), any_port("127.0.0.3")};
    auto opened = Transport::open(io_, own, [&](Bytes, const Endpoint&, int) {
        ++calls;
        b.reset();
    });
    ASSERT_TRUE(opened);
    b = std::make_unique<Transport>(std::move(*opened));
    ASSERT_TRUE(a->set_peers(std::vector<PeerEndpoints>{{node_b, b->local()}}));
    for (int i = 0; i < 5; ++i) a->send_all(bytes_of("x"));
    ASSERT_TRUE(run_until([&] { return b == nullptr; }));
    io_.restart();
    io_.poll();
    EXPECT_EQ(calls, 1);
}

TEST(Sockets, heartbeats_are_marked_as_network_control) {
    for (const std::string_view address : {"127.0.0.1", "::1"}) {
        const auto fd = bind_udp(any_port(address));
        ASSERT_TRUE(fd) << fd.error().message();
        const bool v4 = address != "::1";
        int tos = 0;
        int priority = 0;
        socklen_t length = sizeof(int);
        ASSERT_EQ(::getsockopt(fd->get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS,
                               &tos, &length),
                  0);
        ASSERT_EQ(::getsockopt(fd->get(), SOL_SOCKET, SO_PRIORITY, &priority, &length), 0);
        EXPECT_EQ(tos, 0xc0) << address;
        EXPECT_EQ(priority, 6) << address;
        EXPECT_EQ(bound_to(fd->get()).address, *IpAddress::parse(address));
    }
}

TEST(Sockets, addresses_survive_the_kernels_form) {
    for (const std::string_view text : {"192.0.2.1:8112", "[2001:db8::1]:65535"}) {
        const auto endpoint = Endpoint::parse(text);
        EXPECT_EQ(to_endpoint(to_socket_address(*endpoint).storage), endpoint);
    }
}

}  // namespace

}  // namespace hamr::election_io
