// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's answers about sockets, and its errors: nothing behind a message is read; a socket
// belongs to one address.
#include "router/io/netlink_parse.hpp"
#include "tests/fuzz/target.hpp"

#include <memory>

#include <linux/netlink.h>
#include <sys/socket.h>

namespace hamr::fuzz {

namespace {

using namespace hamr::router_io;

void run(Bytes input) {
    if (input.size() < sizeof(nlmsghdr)) return;
    const std::unique_ptr<std::byte[]> copy(new std::byte[input.size()]);
    std::copy(input.begin(), input.end(), copy.get());
    auto* const message = reinterpret_cast<nlmsghdr*>(copy.get());
    message->nlmsg_len = static_cast<std::uint32_t>(input.size());
    HAMR_ASSERT(error_of(message) >= 0);
    const auto socket = socket_of(message);
    if (!socket) return;
    const auto* own = reinterpret_cast<const std::uint8_t*>(socket->id.idiag_src);
    const IpAddress v4 = IpAddress::v4({own[0], own[1], own[2], own[3]});
    const IpAddress mapped = IpAddress::v4({own[12], own[13], own[14], own[15]});
    std::array<std::uint8_t, 16> all{};
    std::copy(own, own + all.size(), all.begin());
    const bool is_v4 = socket->family == AF_INET;
    HAMR_ASSERT(is_local(*socket, v4) == is_v4 || v4 == mapped);
    HAMR_ASSERT(is_local(*socket, IpAddress::v6(all)) == !is_v4);
    HAMR_ASSERT(!is_local(*socket, IpAddress::v4({192, 0, 2, 100})) || v4 == mapped || is_v4 ||
                mapped == IpAddress::v4({192, 0, 2, 100}));
}

}  // namespace

const Target diag{"diag", run, 4096, 2};

}  // namespace hamr::fuzz
