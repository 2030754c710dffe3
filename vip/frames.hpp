// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/net/address.hpp"

#include <array>
#include <cstddef>
#include <optional>

// The Ethernet frames that say "this address is here", and the reader of those that others send.
//
// IPv4: gratuitous ARP as a request and as a reply (RFC 5227 section 3 asks for the request form;
// some switches and hosts learn only from the other, so both are sent). IPv6: an unsolicited
// neighbour advertisement to ff02::1 with the override flag and the target link-layer option
// (RFC 4861 section 7.2.6). Frames are values of a fixed size; nothing here allocates.

namespace hamr::vip {

/// One frame, ready for an AF_PACKET socket, padded to Ethernet's minimum of 60 bytes.
class Frame {
  public:
    static constexpr std::size_t capacity = 96;

    void put(std::byte value);
    void put(Bytes raw);
    void put16(unsigned value);
    void pad_to(std::size_t size);
    void set16(std::size_t offset, unsigned value);

    [[nodiscard]] Bytes view() const { return {bytes_.data(), size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    std::array<std::byte, capacity> bytes_{};
    std::size_t size_ = 0;
};

/// "Who has `address`? Tell `address`", broadcast. `address` must be IPv4.
[[nodiscard]] Frame gratuitous_arp_request(const IpAddress& address, const MacAddress& mac);

/// "`address` is at `mac`", broadcast and addressed to `address` itself. `address` must be IPv4.
[[nodiscard]] Frame gratuitous_arp_reply(const IpAddress& address, const MacAddress& mac);

/// Unsolicited neighbour advertisement: sent as `address`, to ff02::1, hop limit 255, override set,
/// solicited clear. `router` is the R flag: whether the sender forwards for others (RFC 4861
/// section 4.4). `address` must be IPv6.
[[nodiscard]] Frame neighbour_advertisement(const IpAddress& address, const MacAddress& mac,
                                            bool router);

/// "Who has `address`? Tell `source`", to all who may: an ARP request, broadcast, from `source` (or
/// from 0.0.0.0, an RFC 5227 probe); a neighbour solicitation to the solicited-node group (RFC 4861
/// section 4.3). Both are of one family. Whoever holds the address answers `mac` alone.
[[nodiscard]] Frame solicitation(const IpAddress& address, const IpAddress& source,
                                 const MacAddress& mac);

/// All frames of one announcement: two for IPv4, one for IPv6.
struct Announcement {
    std::array<Frame, 2> frames;
    std::size_t count = 0;
};
[[nodiscard]] Announcement announcement(const IpAddress& address, const MacAddress& mac,
                                        bool router);

enum class ClaimKind { arp_request, arp_reply, neighbour_advertisement, neighbour_solicitation };
[[nodiscard]] const char* to_string(ClaimKind kind);

/// Somebody says, by this frame, that `address` is at `mac`.
struct Claim {
    ClaimKind kind = ClaimKind::arp_request;
    IpAddress address;
    MacAddress mac;

    friend bool operator==(const Claim&, const Claim&) = default;
};

/// Reads a received frame (Ethernet header first, one or two VLAN tags allowed). Nothing when it
/// claims no address: another protocol, a probe (sender 0.0.0.0 or ::), a short or malformed frame,
/// ND with a hop limit other than 255 or a wrong checksum (RFC 4861 section 7.1 drops those).
/// Looks at 512 bytes at most.
[[nodiscard]] std::optional<Claim> parse_claim(Bytes frame);

}  // namespace hamr::vip
