// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/local_addresses.hpp"

#include "base/unique_fd.hpp"

#include <cstring>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::daemon {

namespace {

std::optional<IpAddress> from_sockaddr(const sockaddr* address) {
    if (address == nullptr) return std::nullopt;
    if (address->sa_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, address, sizeof four);
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &four.sin_addr, bytes.size());
        return IpAddress::v4(bytes);
    }
    if (address->sa_family == AF_INET6) {
        sockaddr_in6 six{};
        std::memcpy(&six, address, sizeof six);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
        return IpAddress::v6(bytes);
    }
    return std::nullopt;
}

}  // namespace

std::vector<IpAddress> local_addresses() {
    std::vector<IpAddress> addresses;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return addresses;
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (const auto address = from_sockaddr(entry->ifa_addr)) addresses.push_back(*address);
    }
    ::freeifaddrs(list);
    return addresses;
}

std::optional<IpAddress> source_towards(const IpAddress& target) {
    // Connecting a datagram socket looks the route up and sends nothing.
    const UniqueFd fd(::socket(target.is_v4() ? AF_INET : AF_INET6,
                               SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return std::nullopt;
    sockaddr_storage storage{};
    socklen_t length = 0;
    if (target.is_v4()) {
        sockaddr_in four{};
        four.sin_family = AF_INET;
        four.sin_port = htons(9);
        std::memcpy(&four.sin_addr, target.bytes().data(), 4);
        std::memcpy(&storage, &four, sizeof four);
        length = sizeof four;
    } else {
        sockaddr_in6 six{};
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(9);
        std::memcpy(&six.sin6_addr, target.bytes().data(), 16);
        std::memcpy(&storage, &six, sizeof six);
        length = sizeof six;
    }
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (::connect(fd.get(), address, length) != 0) return std::nullopt;
    length = sizeof storage;
    if (::getsockname(fd.get(), address, &length) != 0) return std::nullopt;
    return from_sockaddr(address);
}

}  // namespace hamr::daemon
