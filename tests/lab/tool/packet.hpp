// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Ethernet frames in and out over AF_PACKET, and the little of ARP, ND, IP and UDP that the lab
// reads and forges.

namespace labtool {

using Octets = std::span<const std::uint8_t>;

struct Frame {
    /// Valid until the next receive().
    Octets bytes;
    /// The kernel's receive time, on CLOCK_BOOTTIME.
    std::int64_t at_ns = 0;
    int interface = 0;
    /// Sent by this host rather than received.
    bool outgoing = false;
};

struct InterfaceInfo {
    int index = 0;
    hamr::MacAddress mac;
};

[[nodiscard]] hamr::Result<InterfaceInfo> interface_info(const std::string& name);
/// "eth0", or "" when there is none with this index.
[[nodiscard]] std::string interface_name(int index);
/// The first address of that family on the interface; link-local ones only when asked for.
[[nodiscard]] std::optional<hamr::IpAddress> own_address(const std::string& interface,
                                                         hamr::Family family, bool link_local);

/// A raw socket on one interface (promiscuous), or on "any". Non-blocking.
class PacketSocket {
  public:
    [[nodiscard]] static hamr::Result<PacketSocket> open(const std::string& interface,
                                                         std::uint16_t protocol);
    [[nodiscard]] std::optional<Frame> receive();
    [[nodiscard]] hamr::Result<> send(Octets frame) const;
    [[nodiscard]] int fd() const { return fd_.get(); }

  private:
    explicit PacketSocket(hamr::UniqueFd fd) : fd_(std::move(fd)), buffer_(65536) {}
    hamr::UniqueFd fd_;
    std::vector<std::uint8_t> buffer_;
};

/// What a frame claims: that its sender is `address`.
struct Claim {
    /// arp-request, arp-reply, garp, na, or ip.
    std::string_view kind;
    hamr::IpAddress address;
    hamr::MacAddress source;
    hamr::MacAddress destination;
};
[[nodiscard]] std::optional<Claim> read_claim(Octets frame);

/// Where the UDP header of a frame starts, and its ports; nothing for other frames and fragments.
struct UdpPlace {
    std::size_t ip = 0;
    std::size_t udp = 0;
    hamr::Family family = hamr::Family::ipv4;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
};
[[nodiscard]] std::optional<UdpPlace> find_udp(Octets frame);

/// Computes the UDP checksum anew: a frame captured on a veth carries an unfinished one.
void fix_udp_checksum(std::span<std::uint8_t> frame, const UdpPlace& place);

[[nodiscard]] std::uint16_t internet_checksum(Octets bytes, std::uint32_t start = 0);
[[nodiscard]] std::uint32_t checksum_sum(Octets bytes, std::uint32_t start = 0);

void append_u16(std::vector<std::uint8_t>& out, std::uint16_t value);
void append(std::vector<std::uint8_t>& out, Octets bytes);
void append_address(std::vector<std::uint8_t>& out, const hamr::IpAddress& address);
/// Destination, source, type.
[[nodiscard]] std::vector<std::uint8_t> ethernet_header(const hamr::MacAddress& to,
                                                        const hamr::MacAddress& from,
                                                        std::uint16_t type);
/// An IPv6 header with hop limit 255.
void append_ipv6_header(std::vector<std::uint8_t>& out, std::uint8_t next, std::size_t length,
                        const hamr::IpAddress& from, const hamr::IpAddress& to);

}  // namespace labtool
