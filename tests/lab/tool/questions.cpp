// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/questions.hpp"

#include "tests/lab/tool/packet.hpp"

#include <array>

#include <net/ethernet.h>
#include <netinet/in.h>

namespace labtool {

namespace {

void put_u16(std::vector<std::uint8_t>& bytes, std::size_t at, std::uint16_t value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(value & 0xff);
}

/// The sum over what TCP and ICMPv6 protect of the header below them.
std::uint32_t pseudo_header_sum(const Way& way, std::size_t length, std::uint8_t protocol) {
    std::vector<std::uint8_t> addresses;
    append_address(addresses, way.from);
    append_address(addresses, way.to);
    return checksum_sum(addresses, static_cast<std::uint32_t>(length) + protocol);
}

std::vector<std::uint8_t> in_ip(const Way& way, std::uint8_t protocol,
                                const std::vector<std::uint8_t>& message) {
    const bool v4 = way.to.is_v4();
    auto frame = ethernet_header(way.to_mac, way.own, v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
    if (v4) {
        std::vector<std::uint8_t> header{0x45, 0};
        append_u16(header, static_cast<std::uint16_t>(20 + message.size()));
        append(header, std::array<std::uint8_t, 8>{0, 0, 0x40, 0, 64, protocol, 0, 0});
        append_address(header, way.from);
        append_address(header, way.to);
        put_u16(header, 10, internet_checksum(header));
        append(frame, header);
    } else {
        append_ipv6_header(frame, protocol, message.size(), way.from, way.to);
    }
    append(frame, message);
    return frame;
}

}  // namespace

std::vector<std::uint8_t> arp_request(const hamr::MacAddress& own, const hamr::IpAddress& from,
                                      const hamr::IpAddress& target) {
    auto frame = ethernet_header(hamr::MacAddress::broadcast(), own, ETHERTYPE_ARP);
    append(frame, std::array<std::uint8_t, 8>{0, 1, 8, 0, 6, 4, 0, 1});
    append(frame, own.bytes);
    append_address(frame, from);
    append(frame, std::array<std::uint8_t, 6>{});
    append_address(frame, target);
    return frame;
}

std::vector<std::uint8_t> neighbour_solicitation(const hamr::MacAddress& own,
                                                 const hamr::IpAddress& from,
                                                 const hamr::IpAddress& target) {
    const auto& t = target.bytes();
    const hamr::MacAddress to{{0x33, 0x33, 0xff, t[13], t[14], t[15]}};
    const auto group =
        hamr::IpAddress::v6({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, t[13], t[14], t[15]});
    std::vector<std::uint8_t> message{135, 0, 0, 0, 0, 0, 0, 0};
    append_address(message, target);
    append(message, std::array<std::uint8_t, 2>{1, 1});
    append(message, own.bytes);
    const Way way{own, to, from, group};
    put_u16(message, 2,
            internet_checksum(message, pseudo_header_sum(way, message.size(), IPPROTO_ICMPV6)));
    return in_ip(way, IPPROTO_ICMPV6, message);
}

std::vector<std::uint8_t> echo_request(const Way& way, std::uint16_t id, std::uint16_t number,
                                       std::int64_t now_ns) {
    constexpr std::uint8_t request4 = 8;
    constexpr std::uint8_t request6 = 128;
    const bool v4 = way.to.is_v4();
    std::vector<std::uint8_t> message{v4 ? request4 : request6, 0, 0, 0};
    append_u16(message, id);
    append_u16(message, number);
    for (int shift = 56; shift >= 0; shift -= 8) {
        message.push_back(static_cast<std::uint8_t>(now_ns >> shift & 0xff));
    }
    const std::uint32_t start = v4 ? 0 : pseudo_header_sum(way, message.size(), IPPROTO_ICMPV6);
    put_u16(message, 2, internet_checksum(message, start));
    return in_ip(way, v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6}, message);
}

std::vector<std::uint8_t> tcp_syn(const Way& way, std::uint16_t from_port, std::uint16_t to_port,
                                  std::uint32_t number) {
    constexpr std::uint16_t header_and_syn = 0x5002;
    constexpr std::uint16_t window = 64'240;
    std::vector<std::uint8_t> message;
    append_u16(message, from_port);
    append_u16(message, to_port);
    append_u16(message, static_cast<std::uint16_t>(number >> 16));
    append_u16(message, static_cast<std::uint16_t>(number & 0xffff));
    append(message, std::array<std::uint8_t, 4>{});
    append_u16(message, header_and_syn);
    append_u16(message, window);
    append(message, std::array<std::uint8_t, 4>{});
    put_u16(message, 16,
            internet_checksum(message, pseudo_header_sum(way, message.size(), IPPROTO_TCP)));
    return in_ip(way, IPPROTO_TCP, message);
}

}  // namespace labtool
