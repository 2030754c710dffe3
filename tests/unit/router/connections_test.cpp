// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/connections.hpp"

#include "tests/unit/router/lab_net.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace hamr::router_io {
namespace {

constexpr std::uint16_t port = 3306;

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;

    [[nodiscard]] const sockaddr* raw() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

Address address_of(const char* ip, std::uint16_t number) {
    Address result;
    if (std::strchr(ip, ':') != nullptr) {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(number);
        ::inet_pton(AF_INET6, ip, &v6.sin6_addr);
        result.length = sizeof v6;
    } else {
        auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(number);
        ::inet_pton(AF_INET, ip, &v4.sin_addr);
        result.length = sizeof v4;
    }
    return result;
}

UniqueFd listen_on(const char* ip, std::uint16_t number) {
    const Address address = address_of(ip, number);
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const bool ready =
        ::bind(fd.get(), address.raw(), address.length) == 0 && ::listen(fd.get(), 4096) == 0;
    EXPECT_TRUE(ready) << ip << ": " << std::strerror(errno);
    return fd;
}

/// Both ends of one connection.
struct Pair {
    UniqueFd client;
    UniqueFd server;
};

Pair connect_to(const UniqueFd& listener, const char* to, std::uint16_t number,
                const char* from = nullptr) {
    const Address address = address_of(to, number);
    Pair pair;
    pair.client.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (from != nullptr) {
        const Address own = address_of(from, 0);
        EXPECT_EQ(::bind(pair.client.get(), own.raw(), own.length), 0) << std::strerror(errno);
    }
    EXPECT_EQ(::connect(pair.client.get(), address.raw(), address.length), 0)
        << std::strerror(errno);
    pair.server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(pair.server) << std::strerror(errno);
    return pair;
}

/// The errno that a process gets which reads there now; 0 while nothing has come.
int error_at(const UniqueFd& fd) {
    char byte = 0;
    if (::recv(fd.get(), &byte, 1, MSG_DONTWAIT) >= 0) return -1;
    return errno == EAGAIN ? 0 : errno;
}

class ConnectionsTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        ASSERT_TRUE(network_);
        ASSERT_EQ(network_.sh("ip address add 192.0.2.100/32 dev lo && ip address add 192.0.2.11/32"
                              " dev lo && ip address add 2001:db8::100/128 dev lo"),
                  0);
    }

    [[nodiscard]] std::size_t count(std::vector<std::uint16_t> ports) const {
        return network_.in([&] { return count_connections(ports).value(); });
    }
    [[nodiscard]] std::size_t destroy(const char* address) const {
        return network_.in([&] { return destroy_connections(*IpAddress::parse(address)).value(); });
    }

    [[nodiscard]] UniqueFd listening(const char* ip, std::uint16_t number) const {
        return network_.in([&] { return listen_on(ip, number); });
    }
    [[nodiscard]] Pair connected(const UniqueFd& listener, const char* to, std::uint16_t number,
                                 const char* from = nullptr) const {
        return network_.in([&] { return connect_to(listener, to, number, from); });
    }

    lab::Namespace network_;
};

TEST_F(ConnectionsTest, both_families_and_only_these_ports_are_counted) {
    const UniqueFd v4 = listening("0.0.0.0", port);
    const UniqueFd other = listening("0.0.0.0", 3307);
    const UniqueFd both = listening("::", 3308);
    EXPECT_EQ(count({port, 3307, 3308}), 0u) << "listening is no connection";
    const Pair a = connected(v4, "192.0.2.100", port);
    const Pair b = connected(v4, "192.0.2.11", port);
    const Pair c = connected(other, "192.0.2.100", 3307);
    const Pair d = connected(both, "2001:db8::100", 3308);
    const Pair e = connected(both, "192.0.2.100", 3308);
    EXPECT_EQ(count({port}), 2u);
    EXPECT_EQ(count({3307}), 1u);
    EXPECT_EQ(count({3308}), 2u);
    EXPECT_EQ(count({port, 3307, 3308}), 5u);
    EXPECT_EQ(count({}), 0u);
}

TEST_F(ConnectionsTest, a_connection_counts_until_the_router_has_closed_it) {
    const UniqueFd listener = listening("0.0.0.0", port);
    Pair pair = connected(listener, "192.0.2.100", port);
    pair.client.reset();
    EXPECT_EQ(count({port}), 1u) << "closed by the client only";
    pair.server.reset();
    EXPECT_EQ(count({port}), 0u);
}

TEST_F(ConnectionsTest, only_the_lost_address_is_cut_off) {
    const UniqueFd v4 = listening("0.0.0.0", port);
    const UniqueFd both = listening("::", 3308);
    const Pair lost = connected(v4, "192.0.2.100", port, "192.0.2.11");
    const Pair lost_in_v6_socket = connected(both, "192.0.2.100", 3308, "192.0.2.11");
    const Pair kept = connected(v4, "192.0.2.11", port, "192.0.2.11");
    const Pair kept_v6 = connected(both, "2001:db8::100", 3308);
    EXPECT_EQ(destroy("192.0.2.100"), 2u);
    EXPECT_EQ(error_at(lost.server), ECONNABORTED);
    EXPECT_EQ(error_at(lost_in_v6_socket.server), ECONNABORTED);
    EXPECT_EQ(error_at(kept.server), 0);
    EXPECT_EQ(error_at(kept_v6.server), 0);
    EXPECT_EQ(count({port, 3308}), 2u);
    // Both ends are here: the reset that ends the first may be quicker than this.
    EXPECT_GE(destroy("2001:db8::100"), 1u);
    EXPECT_NE(error_at(kept_v6.server), 0);
    EXPECT_EQ(count({3308}), 0u);
    EXPECT_EQ(destroy("192.0.2.100"), 0u);
    const Pair again = connected(v4, "192.0.2.100", port);
    EXPECT_EQ(error_at(again.server), 0) << "listening sockets stay";
}

TEST_F(ConnectionsTest, without_the_privilege_it_says_so) {
    const UniqueFd listener = listening("0.0.0.0", port);
    const Pair pair = connected(listener, "192.0.2.100", port);
    // A child, since a process cannot take a lost privilege back.
    const pid_t child = ::fork();
    if (child == 0) {
        const bool refused = network_.in([] {
            if (::seteuid(65534) != 0) return false;
            const auto result = destroy_connections(*IpAddress::parse("192.0.2.100"));
            return !result && result.error().code == std::errc::operation_not_permitted;
        });
        ::_exit(refused ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(error_at(pair.server), 0);
}

TEST_F(ConnectionsTest, ten_thousand_sockets_take_milliseconds) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const std::size_t many = std::min<std::size_t>(5000, files.rlim_cur / 2 - 100);
    const UniqueFd listener = listening("0.0.0.0", port);
    std::vector<Pair> pairs;
    for (std::size_t i = 0; i < many; ++i) {
        pairs.push_back(connected(listener, "192.0.2.100", port, "192.0.2.11"));
    }
    const BootTime begun = BootClock::now();
    EXPECT_EQ(count({port}), many);
    const BootTime counted = BootClock::now();
    EXPECT_EQ(destroy("192.0.2.100"), many);
    const BootTime ended = BootClock::now();
    std::cout << many << " connections, " << 2 * many << " sockets: counted in "
              << to_ms(counted - begun) << " ms, cut in " << to_ms(ended - counted) << " ms\n";
    EXPECT_LT(to_ms(counted - begun), 1000);
    EXPECT_LT(to_ms(ended - counted), 5000);
}

}  // namespace
}  // namespace hamr::router_io
