// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/nft.hpp"
#include "router/io/sysctl_store.hpp"
#include "router/ruleset.hpp"
#include "tests/unit/router/lab_net.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

// Real flows: client (192.0.2.50) - router (VIP 192.0.2.100) - backends (198.51.100.21 and .22),
// each in its own namespace, IPv6 beside it.

namespace hamr::router_io {
namespace {

using router::RoutePlan;
using router::RulesetInput;
using testing::SizeIs;

constexpr int patience_ms = 3000;
constexpr std::uint16_t rw = 6446;
constexpr std::uint16_t ro = 6447;

struct Sockaddr {
    explicit Sockaddr(const Endpoint& endpoint) {
        if (endpoint.address.is_v4()) {
            auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
            v4->sin_family = AF_INET;
            v4->sin_port = htons(endpoint.port);
            std::memcpy(&v4->sin_addr, endpoint.address.bytes().data(), 4);
            length = sizeof *v4;
        } else {
            auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons(endpoint.port);
            std::memcpy(&v6->sin6_addr, endpoint.address.bytes().data(), 16);
            length = sizeof *v6;
        }
    }
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] IpAddress address() const {
        if (storage.ss_family == AF_INET) {
            std::array<std::uint8_t, 4> bytes{};
            const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
            std::memcpy(bytes.data(), &v4->sin_addr, bytes.size());
            return IpAddress::v4(bytes);
        }
        std::array<std::uint8_t, 16> bytes{};
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
        std::memcpy(bytes.data(), &v6->sin6_addr, bytes.size());
        return IpAddress::v6(bytes);
    }

    sockaddr_storage storage{};
    socklen_t length = 0;
};

Endpoint endpoint(const char* text) {
    return *Endpoint::parse(text);
}

bool ready(const UniqueFd& fd, short what) {
    pollfd wait{fd.get(), what, 0};
    return ::poll(&wait, 1, patience_ms) == 1;
}

UniqueFd tcp(const Endpoint& endpoint) {
    const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
    return UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// A connected socket, or the errno of the attempt.
struct Connection {
    UniqueFd fd;
    int error = 0;

    static Connection open(const Endpoint& to) {
        Connection connection{tcp(to), 0};
        const Sockaddr address(to);
        if (::connect(connection.fd.get(), address.get(), address.length) == 0) return connection;
        connection.error = errno;
        if (connection.error != EINPROGRESS) return connection;
        connection.error = ETIMEDOUT;
        if (!ready(connection.fd, POLLOUT)) return connection;
        socklen_t length = sizeof connection.error;
        ::getsockopt(connection.fd.get(), SOL_SOCKET, SO_ERROR, &connection.error, &length);
        return connection;
    }
    [[nodiscard]] bool say(const std::string& text) const {
        return ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size());
    }
    [[nodiscard]] std::string hear() const {
        std::array<char, 256> buffer{};
        if (!ready(fd, POLLIN)) return "(nothing)";
        const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (n <= 0) return n == 0 ? "(end)" : std::string("(") + std::strerror(errno) + ")";
        return {buffer.data(), static_cast<std::size_t>(n)};
    }
};

class Listener {
  public:
    explicit Listener(const Endpoint& at) : fd_(tcp(at)) {
        const int one = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        const Sockaddr address(at);
        if (::bind(fd_.get(), address.get(), address.length) != 0 || ::listen(fd_.get(), 16) != 0) {
            fd_.reset();
        }
    }
    [[nodiscard]] bool good() const { return static_cast<bool>(fd_); }
    /// Who came last, as this side sees it.
    [[nodiscard]] IpAddress peer() const { return peer_.address(); }

    Connection accept() {
        if (!ready(fd_, POLLIN)) return {{}, ETIMEDOUT};
        peer_.length = sizeof peer_.storage;
        auto* raw = reinterpret_cast<sockaddr*>(&peer_.storage);
        return {UniqueFd(::accept4(fd_.get(), raw, &peer_.length, SOCK_CLOEXEC | SOCK_NONBLOCK)),
                0};
    }
    [[nodiscard]] bool somebody_waits() const {
        pollfd wait{fd_.get(), POLLIN, 0};
        return ::poll(&wait, 1, 0) == 1;
    }

  private:
    UniqueFd fd_;
    Sockaddr peer_{Endpoint{}};
};

class FlowTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        client_.emplace();
        router_.emplace();
        backends_.emplace();
        ASSERT_TRUE(*client_ && *router_ && *backends_);
        ASSERT_EQ(router_->sh(links()), 0);
        ASSERT_EQ(client_->sh("ip addr add 192.0.2.50/24 dev c0 && ip link set c0 up && "
                              "ip -6 addr add 2001:db8:1::50/64 dev c0 nodad && "
                              "ip route add default via 192.0.2.1 && "
                              "ip -6 route add default via 2001:db8:1::1"),
                  0);
        ASSERT_EQ(backends_->sh("ip addr add 198.51.100.21/24 dev b0 && "
                                "ip addr add 198.51.100.22/24 dev b0 && ip link set b0 up && "
                                "ip -6 addr add 2001:db8:2::21/64 dev b0 nodad && "
                                "ip route add default via 198.51.100.1 && "
                                "ip -6 route add default via 2001:db8:2::1"),
                  0);
        store_.emplace(folder_.path() + "/sysctls");
        const auto applied = router_->in([&] { return store_->apply(settings()); });
        ASSERT_TRUE(applied) << applied.error().message();
        backends_->in([&] {
            first_.emplace(endpoint("198.51.100.21:3306"));
            second_.emplace(endpoint("198.51.100.22:3306"));
            sixth_.emplace(endpoint("[2001:db8:2::21]:3306"));
        });
        ASSERT_TRUE(first_->good() && second_->good() && sixth_->good());
    }

    [[nodiscard]] std::string links() const {
        return "ip link add r0 type veth peer name c0 netns " + client_->path() +
               " && ip link add r1 type veth peer name b0 netns " + backends_->path() +
               " && sysctl -qw net.ipv6.conf.r0.accept_dad=0"
               " && ip addr add 192.0.2.1/24 dev r0 && ip addr add 192.0.2.100/32 dev r0"
               " && ip addr add 198.51.100.1/24 dev r1 && ip link set r0 up && ip link set r1 up"
               " && ip -6 addr add 2001:db8:1::1/64 dev r0 nodad"
               " && ip -6 addr add 2001:db8:1::100/128 dev r0 nodad"
               " && ip -6 addr add 2001:db8:2::1/64 dev r1 nodad";
    }

    [[nodiscard]] router::SysctlInput sysctl_input() const {
        return {{"r0", "r1"}, true, store_->exists("net/ipv6/conf/r0/force_forwarding")};
    }
    [[nodiscard]] std::vector<router::Sysctl> settings() const {
        return router_->in([&] { return router::embedded_router_sysctls(sysctl_input()); });
    }

    void load(const std::vector<Endpoint>& primary, const std::vector<Endpoint>& secondaries) {
        RulesetInput input;
        input.vips = {*IpAddress::parse("192.0.2.100"), *IpAddress::parse("2001:db8:1::100")};
        input.routes = {{"rw", rw, primary}, {"ro", ro, secondaries}};
        input.no_redirects = {"r0", "r1"};
        router_->in([&] {
            const auto guards = router::forward_guards(sysctl_input(), *store_->originals());
            input.guard_v4 = guards.v4;
            input.guard_v6 = guards.v6;
            const auto loaded = apply_blocking(router::render(input).text);
            ASSERT_TRUE(loaded) << loaded.error().message();
        });
    }

    [[nodiscard]] Connection from_client(const Endpoint& to) const {
        return client_->in([&] { return Connection::open(to); });
    }

    void expect_talk(const Connection& here, const Connection& there) {
        EXPECT_TRUE(here.say("question"));
        EXPECT_EQ(there.hear(), "question");
        EXPECT_TRUE(there.say("answer"));
        EXPECT_EQ(here.hear(), "answer");
    }

    static inline const Endpoint vip_rw = endpoint("192.0.2.100:6446");
    static inline const Endpoint vip_ro = endpoint("192.0.2.100:6447");
    static inline const Endpoint b1 = endpoint("198.51.100.21:3306");
    static inline const Endpoint b2 = endpoint("198.51.100.22:3306");
    static inline const Endpoint b6 = endpoint("[2001:db8:2::21]:3306");

    lab::TemporaryFolder folder_;
    std::optional<lab::Namespace> client_, router_, backends_;
    std::optional<SysctlStore> store_;
    std::optional<Listener> first_, second_, sixth_;
};

TEST_F(FlowTest, a_connection_reaches_the_backend_as_the_vip) {
    load({b1}, {b2});
    const Connection here = from_client(vip_rw);
    ASSERT_EQ(here.error, 0) << std::strerror(here.error);
    const Connection there = first_->accept();
    ASSERT_EQ(there.error, 0);
    EXPECT_EQ(first_->peer().to_string(), "192.0.2.100");
    expect_talk(here, there);
}

TEST_F(FlowTest, ipv6_goes_to_the_ipv6_backend) {
    load({b1, b6}, {b2});
    const Connection here = from_client(endpoint("[2001:db8:1::100]:6446"));
    ASSERT_EQ(here.error, 0) << std::strerror(here.error);
    const Connection there = sixth_->accept();
    ASSERT_EQ(there.error, 0);
    EXPECT_EQ(sixth_->peer().to_string(), "2001:db8:1::100");
    expect_talk(here, there);
    EXPECT_EQ(from_client(endpoint("[2001:db8:1::100]:6447")).error, ECONNREFUSED)
        << "no backend of that family";
}

TEST_F(FlowTest, several_backends_take_turns) {
    load({b1}, {b1, b2});
    for (int round = 0; round < 2; ++round) {
        const Connection one = from_client(vip_ro);
        const Connection two = from_client(vip_ro);
        ASSERT_EQ(one.error + two.error, 0);
        EXPECT_EQ(first_->accept().error, 0);
        EXPECT_EQ(second_->accept().error, 0);
    }
}

TEST_F(FlowTest, a_new_table_moves_new_connections_only) {
    load({b1}, {b2});
    const Connection old_here = from_client(vip_rw);
    const Connection old_there = first_->accept();
    expect_talk(old_here, old_there);
    load({b2}, {b1});
    expect_talk(old_here, old_there);
    const Connection new_here = from_client(vip_rw);
    ASSERT_EQ(new_here.error, 0);
    const Connection new_there = second_->accept();
    expect_talk(new_here, new_there);
    EXPECT_FALSE(first_->somebody_waits());
    load({}, {});
    expect_talk(old_here, old_there);
    expect_talk(new_here, new_there);
}

TEST_F(FlowTest, no_backend_is_refused_at_once) {
    load({}, {b2});
    EXPECT_EQ(from_client(vip_rw).error, ECONNREFUSED);
    load({b1}, {b2});
    EXPECT_EQ(from_client(vip_rw).error, 0);
}

TEST_F(FlowTest, a_listener_of_this_host_never_gets_a_route_s_connection) {
    std::optional<Listener> local;
    router_->in([&] { local.emplace(endpoint("192.0.2.100:6446")); });
    ASSERT_TRUE(local->good());
    load({}, {});
    EXPECT_EQ(from_client(vip_rw).error, ECONNREFUSED);
    EXPECT_FALSE(local->somebody_waits());
}

TEST_F(FlowTest, only_our_flows_are_forwarded) {
    EXPECT_EQ(from_client(b1).error, 0) << "forwarding is on, nothing guards it yet";
    EXPECT_EQ(first_->accept().error, 0);
    load({b2}, {b2});
    const UniqueFd past = client_->in([] {
        UniqueFd fd = tcp(b1);
        const Sockaddr address(b1);
        (void)::connect(fd.get(), address.get(), address.length);
        return fd;
    });
    EXPECT_EQ(from_client(vip_rw).error, 0) << "ours, which begins later, is there";
    EXPECT_EQ(second_->accept().error, 0);
    EXPECT_FALSE(first_->somebody_waits()) << "no open router between the networks";
}

/// A TCP segment from nowhere, and what the network says to it.
class Stray {
  public:
    Stray() : raw_(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP)) {}

    [[nodiscard]] bool send(const Endpoint& to, std::uint8_t flags) const {
        tcphdr header{};
        header.th_sport = htons(source_port);
        header.th_dport = htons(to.port);
        header.th_seq = htonl(1000);
        header.th_ack = htonl(2000);
        header.th_off = 5;
        header.th_flags = flags;
        header.th_win = htons(1000);
        header.th_sum = checksum(header, to.address);
        const Sockaddr address(to);
        return ::sendto(raw_.get(), &header, sizeof header, 0, address.get(), address.length) ==
               static_cast<ssize_t>(sizeof header);
    }

    /// The next answer's source, or nothing within our patience.
    [[nodiscard]] std::optional<IpAddress> answer_from() const {
        std::array<std::uint8_t, 256> packet{};
        while (ready(raw_, POLLIN)) {
            const ssize_t n = ::recv(raw_.get(), packet.data(), packet.size(), 0);
            if (n < 40) continue;
            const std::size_t offset = (packet[0] & 0x0fU) * 4U;
            if (((packet[offset + 2] << 8) | packet[offset + 3]) != source_port) continue;
            return IpAddress::v4({packet[12], packet[13], packet[14], packet[15]});
        }
        return std::nullopt;
    }

  private:
    static constexpr std::uint16_t source_port = 3306;

    static std::uint16_t checksum(const tcphdr& header, const IpAddress& to) {
        std::array<std::uint8_t, 32> data{198, 51, 100, 21};
        std::memcpy(data.data() + 4, to.bytes().data(), 4);
        data[9] = IPPROTO_TCP;
        data[11] = sizeof header;
        std::memcpy(data.data() + 12, &header, sizeof header);
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < data.size(); i += 2) {
            sum += static_cast<std::uint32_t>((data[i] << 8) | data[i + 1]);
        }
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
        return htons(static_cast<std::uint16_t>(~sum));
    }

    UniqueFd raw_;
};

TEST_F(FlowTest, a_stray_packet_to_the_vip_is_never_answered) {
    load({b1}, {b2});
    // The control: the same packets to the router's own address are answered with a reset.
    const Endpoint own = endpoint("198.51.100.1:40000");
    struct Row {
        const char* name;
        std::uint8_t flags;
        std::uint16_t port;
    };
    const std::array rows{Row{"a server's data to an unknown flow", TH_ACK | TH_PUSH, 40000},
                          Row{"an answer to an unknown SYN", TH_SYN | TH_ACK, 40000},
                          Row{"an end", TH_FIN | TH_ACK, 40000},
                          Row{"a client's data to a route", TH_ACK | TH_PUSH, rw}};
    backends_->in([&] {
        const Stray stray;
        for (const Row& row : rows) {
            ASSERT_TRUE(stray.send({vip_rw.address, row.port}, row.flags)) << row.name;
            ASSERT_TRUE(stray.send(own, row.flags)) << row.name;
            const auto answered = stray.answer_from();
            ASSERT_TRUE(answered) << row.name << ": the control was not answered";
            EXPECT_EQ(answered->to_string(), "198.51.100.1") << row.name;
        }
    });
}

TEST_F(FlowTest, a_connection_to_the_vip_itself_is_the_host_s) {
    load({b1}, {b2});
    EXPECT_EQ(from_client(endpoint("192.0.2.100:22")).error, ECONNREFUSED);
    std::optional<Listener> local;
    router_->in([&] { local.emplace(endpoint("192.0.2.100:2222")); });
    const Connection here = from_client(endpoint("192.0.2.100:2222"));
    ASSERT_EQ(here.error, 0);
    const Connection there = local->accept();
    expect_talk(here, there);
}

/// Client and backend on one link: what comes in leaves by the same interface.
TEST_F(FlowTest, a_one_armed_router_sends_no_redirects) {
    ASSERT_EQ(client_->sh("ip addr add 192.0.2.51/24 dev c0 && "
                          "ip -6 addr add 2001:db8:1::51/64 dev c0 nodad"),
              0);
    const Endpoint near_v4 = endpoint("192.0.2.51:3306");
    const Endpoint near_v6 = endpoint("[2001:db8:1::51]:3306");
    load({near_v4, near_v6}, {});
    for (const auto& [vip, near] :
         {std::pair{vip_rw, near_v4}, std::pair{endpoint("[2001:db8:1::100]:6446"), near_v6}}) {
        std::optional<Listener> listener;
        client_->in([&] { listener.emplace(near); });
        const Connection here = from_client(vip);
        ASSERT_EQ(here.error, 0) << std::strerror(here.error);
        const Connection there = listener->accept();
        EXPECT_EQ(listener->peer(), vip.address);
        for (int i = 0; i < 3; ++i) expect_talk(here, there);
    }
    EXPECT_EQ(router_->sh("nstat -asz IcmpOutRedirects Icmp6OutRedirects | "
                          "awk '/Redirects/ {sum += $2; n++} END {exit n != 2 || sum != 0}'"),
              0);
}

TEST_F(FlowTest, removal_leaves_no_trace) {
    load({b1}, {b2});
    router_->in([&] {
        EXPECT_TRUE(remove_blocking());
        EXPECT_TRUE(store_->restore());
    });
    EXPECT_EQ(router_->sh("test -z \"$(nft list ruleset)\""), 0);
    EXPECT_EQ(router_->sh("test $(sysctl -n net.ipv4.conf.r0.forwarding) = 0"), 0);
}

}  // namespace
}  // namespace hamr::router_io
