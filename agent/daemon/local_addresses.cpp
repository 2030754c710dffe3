// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/local_addresses.hpp"

#include "base/unique_fd.hpp"
#include "election/io/sockets.hpp"

#include <cstring>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::daemon {

std::vector<IpAddress> local_addresses() {
    std::vector<IpAddress> addresses;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return addresses;
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr) continue;
        const int family = entry->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        sockaddr_storage storage{};
        const std::size_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        std::memcpy(&storage, entry->ifa_addr, size);
        addresses.push_back(election_io::to_endpoint(storage).address);
    }
    ::freeifaddrs(list);
    return addresses;
}

std::optional<IpAddress> source_towards(const IpAddress& target) {
    // Connecting a datagram socket looks the route up and sends nothing.
    const UniqueFd fd(::socket(target.is_v4() ? AF_INET : AF_INET6,
                               SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return std::nullopt;
    const election_io::SocketAddress to = election_io::to_socket_address({target, 9});
    if (::connect(fd.get(), to.get(), to.length) != 0) return std::nullopt;
    return election_io::bound_to(fd.get()).address;
}

}  // namespace hamr::daemon
