// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/io/packet_socket.hpp"

#include "vip/frames.hpp"

#include <cerrno>
#include <string>

#include <linux/if_packet.h>
#include <sys/socket.h>

namespace hamr::vip {

Result<PacketSocket> PacketSocket::open() {
    // Protocol 0: nothing is ever received.
    UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        const int error = errno;
        return fail_errno(error == EPERM ? "packet socket (needs CAP_NET_RAW)" : "packet socket",
                          error);
    }
    return PacketSocket(std::move(fd));
}

Result<> PacketSocket::send(InterfaceIndex index, Bytes frame) {
    constexpr std::size_t ethernet_header = 14;
    if (frame.size() < ethernet_header) return fail("a frame without an Ethernet header");
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = index.value;
    to.sll_protocol = static_cast<unsigned short>(std::to_integer<unsigned>(frame[12]) |
                                                  std::to_integer<unsigned>(frame[13]) << 8);
    const ssize_t sent = ::sendto(fd_.get(), frame.data(), frame.size(), MSG_DONTWAIT,
                                  reinterpret_cast<const sockaddr*>(&to), sizeof to);
    if (sent >= 0) return {};
    const int error = errno;
    return fail_errno("send on interface " + std::to_string(index.value), error);
}

Result<> PacketSocket::send(const Announce& announce, bool router) {
    Result<> result;
    const Announcement frames = announcement(announce.address, announce.mac, router);
    for (std::size_t i = 0; i < frames.count; ++i) {
        auto sent = send(announce.index, frames.frames[i].view());
        if (!sent && result) result = std::move(sent);
    }
    return result;
}

}  // namespace hamr::vip
