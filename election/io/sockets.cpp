// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/io/sockets.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>

#include <netinet/in.h>

namespace hamr::election_io {

namespace {

constexpr int dscp_cs6 = 0xc0;  // as the TOS or traffic class byte
constexpr int network_control = 6;
// Enough for a second of frames of sixteen peers; the kernel counts its own overhead into it.
constexpr int receive_buffer = 256 * 1024;

struct Option {
    int level;
    int name;
    int value;
    const char* what;
};

// SO_PRIORITY after the TOS, which sets it too. No path MTU discovery: a forged "too big" must not
// stop heartbeats, and a frame of many groups may be cut into fragments.
constexpr Option ipv4_options[] = {
    {IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND"},
    {IPPROTO_IP, IP_TOS, dscp_cs6, "IP_TOS"},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, "IP_MTU_DISCOVER"},
    {SOL_SOCKET, SO_PRIORITY, network_control, "SO_PRIORITY"},
    {SOL_SOCKET, SO_RCVBUF, receive_buffer, "SO_RCVBUF"},
};
constexpr Option ipv6_options[] = {
    {IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"},
    {IPPROTO_IPV6, IPV6_FREEBIND, 1, "IPV6_FREEBIND"},
    {IPPROTO_IPV6, IPV6_TCLASS, dscp_cs6, "IPV6_TCLASS"},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, "IPV6_MTU_DISCOVER"},
    {SOL_SOCKET, SO_PRIORITY, network_control, "SO_PRIORITY"},
    {SOL_SOCKET, SO_RCVBUF, receive_buffer, "SO_RCVBUF"},
};

tl::unexpected<Error> bind_error(const Endpoint& own, int error) {
    const std::string port = std::to_string(own.port);
    const std::string address = own.address.to_string();
    if (error == EADDRINUSE) {
        return fail("port " + port + " is taken on " + address + ": is another hamrd running?");
    }
    if (error == EACCES) {
        return fail_errno("no permission to use port " + port + " on " + address, error);
    }
    return fail_errno("bind " + own.to_string(), error);
}

}  // namespace

SocketAddress to_socket_address(const Endpoint& endpoint) {
    SocketAddress result;
    const auto& bytes = endpoint.address.bytes();
    if (endpoint.address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, bytes.data(), sizeof(v4.sin_addr));
        std::memcpy(&result.storage, &v4, sizeof(v4));
        result.length = sizeof(v4);
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        std::memcpy(&v6.sin6_addr, bytes.data(), sizeof(v6.sin6_addr));
        std::memcpy(&result.storage, &v6, sizeof(v6));
        result.length = sizeof(v6);
    }
    return result;
}

Endpoint to_endpoint(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &storage, sizeof(v4));
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
        return {IpAddress::v4(bytes), ntohs(v4.sin_port)};
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof(v6));
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return {IpAddress::v6(bytes), ntohs(v6.sin6_port)};
}

Result<UniqueFd> bind_udp(const Endpoint& own) {
    const bool v4 = own.address.is_v4();
    UniqueFd fd(
        ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
    if (!fd) return fail_errno("UDP socket for " + own.to_string(), errno);
    const std::span<const Option> options =
        v4 ? std::span<const Option>(ipv4_options) : std::span<const Option>(ipv6_options);
    for (const Option& option : options) {
        if (::setsockopt(fd.get(), option.level, option.name, &option.value,
                         sizeof(option.value)) != 0) {
            return fail_errno(std::string(option.what) + " for " + own.to_string(), errno);
        }
    }
    const SocketAddress address = to_socket_address(own);
    if (::bind(fd.get(), address.get(), address.length) != 0) return bind_error(own, errno);
    return fd;
}

Endpoint bound_to(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof(storage);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
    return to_endpoint(storage);
}

}  // namespace hamr::election_io
