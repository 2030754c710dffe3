// SPDX-License-Identifier: GPL-2.0-or-later
// ARP and neighbour discovery from anybody on the link: who is heard to claim an address is heard
// to claim it in our own words, too.
#include "tests/fuzz/target.hpp"
#include "vip/frames.hpp"

#include <vector>

namespace hamr::fuzz {

namespace {

using namespace hamr::vip;

void take(Bytes input) {
    const auto heard = parse_claim(input);
    if (!heard) return;
    HAMR_ASSERT(is_one_line(to_string(heard->kind)));
    for (const bool router : {false, true}) {
        const Announcement said = announcement(heard->address, heard->mac, router);
        for (std::size_t i = 0; i < said.count; ++i) {
            const auto again = parse_claim(said.frames[i].view());
            HAMR_ASSERT(again && again->address == heard->address && again->mac == heard->mac);
        }
    }
}

/// The same as an ICMPv6 message with the checksum that it should have (RFC 8200, 8.1).
std::vector<std::byte> as_nd(Bytes input) {
    constexpr std::size_t ip = 14;
    constexpr std::size_t icmp = ip + 40;
    std::vector<std::byte> frame(input.begin(), input.end());
    frame.resize(std::clamp<std::size_t>(frame.size(), icmp + 24, 512));
    const std::size_t size = frame.size() - icmp;
    frame[12] = std::byte{0x86};
    frame[13] = std::byte{0xdd};
    frame[ip] = std::byte{0x60};
    frame[ip + 4] = static_cast<std::byte>(size >> 8);
    frame[ip + 5] = static_cast<std::byte>(size & 0xff);
    frame[ip + 6] = std::byte{58};
    frame[ip + 7] = std::byte{255};
    frame[icmp + 2] = frame[icmp + 3] = std::byte{0};
    std::uint32_t sum = static_cast<std::uint32_t>(size) + 58;
    for (std::size_t i = ip + 8; i < frame.size(); ++i) {
        sum += std::to_integer<std::uint32_t>(frame[i]) << (i % 2 == 0 ? 8 : 0);
    }
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    frame[icmp + 2] = static_cast<std::byte>(~sum >> 8 & 0xff);
    frame[icmp + 3] = static_cast<std::byte>(~sum & 0xff);
    return frame;
}

void run(Bytes input) {
    take(input);
    take(as_nd(input));
}

}  // namespace

const Target claim{"claim", run, 4096, 2};

}  // namespace hamr::fuzz
