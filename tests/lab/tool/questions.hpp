// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"

#include <cstdint>
#include <vector>

// Frames that ask for an address: who has it, and does it answer. Both families.

namespace labtool {

/// From whom to whom a frame goes, on the link and above.
struct Way {
    hamr::MacAddress own;
    hamr::MacAddress to_mac;
    hamr::IpAddress from;
    hamr::IpAddress to;
};

[[nodiscard]] std::vector<std::uint8_t> arp_request(const hamr::MacAddress& own,
                                                    const hamr::IpAddress& from,
                                                    const hamr::IpAddress& target);
[[nodiscard]] std::vector<std::uint8_t> neighbour_solicitation(const hamr::MacAddress& own,
                                                               const hamr::IpAddress& from,
                                                               const hamr::IpAddress& target);
/// An ICMP or ICMPv6 echo request; its payload is `now_ns`, 8 bytes, big-endian.
[[nodiscard]] std::vector<std::uint8_t> echo_request(const Way& way, std::uint16_t id,
                                                     std::uint16_t number, std::int64_t now_ns);
[[nodiscard]] std::vector<std::uint8_t> tcp_syn(const Way& way, std::uint16_t from_port,
                                                std::uint16_t to_port, std::uint32_t number);

}  // namespace labtool
