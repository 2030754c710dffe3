// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/frames.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

namespace hamr::vip {

namespace {

constexpr unsigned ethertype_arp = 0x0806;
constexpr unsigned ethertype_ipv4 = 0x0800;
constexpr unsigned ethertype_ipv6 = 0x86dd;
constexpr unsigned ethertype_vlan = 0x8100;
constexpr unsigned ethertype_service_vlan = 0x88a8;
constexpr std::size_t minimum_frame = 60;
constexpr std::size_t longest_looked_at = 512;

constexpr unsigned arp_op_request = 1;
constexpr unsigned arp_op_reply = 2;

constexpr std::uint8_t next_header_icmpv6 = 58;
constexpr std::uint8_t nd_solicitation = 135;
constexpr std::uint8_t nd_advertisement = 136;
constexpr std::uint8_t option_source_link_layer = 1;
constexpr std::uint8_t option_target_link_layer = 2;

constexpr std::byte flag_router{0x80};
constexpr std::byte flag_override{0x20};

Bytes raw(const IpAddress& address) {
    return std::as_bytes(std::span(address.bytes()).first(address.is_v4() ? 4 : 16));
}

Bytes raw(const MacAddress& mac) {
    return std::as_bytes(std::span(mac.bytes));
}

/// RFC 1071, over the IPv6 pseudo header (RFC 8200 section 8.1) and the message.
unsigned icmpv6_checksum(Bytes source, Bytes destination, Bytes message) {
    std::uint32_t sum = static_cast<std::uint32_t>(message.size()) + next_header_icmpv6;
    const auto add = [&sum](Bytes bytes) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const auto value = std::to_integer<std::uint32_t>(bytes[i]);
            sum += i % 2 == 0 ? value << 8 : value;
        }
    };
    add(source);
    add(destination);
    add(message);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/// The hardware addresses as `mac` and `target`; asks for, or tells of, `address`.
Frame arp(unsigned operation, const IpAddress& sender, const IpAddress& address,
          const MacAddress& mac, const MacAddress& target) {
    HAMR_ASSERT(sender.is_v4() && address.is_v4());
    Frame frame;
    frame.put(raw(MacAddress::broadcast()));
    frame.put(raw(mac));
    frame.put16(ethertype_arp);
    frame.put16(1);  // Ethernet
    frame.put16(ethertype_ipv4);
    frame.put(std::byte{6});
    frame.put(std::byte{4});
    frame.put16(operation);
    frame.put(raw(mac));
    frame.put(raw(sender));
    frame.put(raw(target));
    frame.put(raw(address));
    frame.pad_to(minimum_frame);
    return frame;
}

struct NeighbourMessage {
    std::uint8_t type = 0;
    std::byte flags{};
    std::uint8_t option = 0;  // which of the two link-layer address options
    IpAddress source;
    IpAddress destination;  // a multicast address
    IpAddress target;
};

Frame neighbour_message(const NeighbourMessage& message, const MacAddress& mac) {
    HAMR_ASSERT(!message.target.is_v4() && !message.source.is_v4());
    constexpr std::size_t icmp_at = 14 + 40;
    constexpr unsigned icmp_size = 32;
    const Bytes group = raw(message.destination);
    Frame frame;
    frame.put(std::byte{0x33});  // RFC 2464 section 7
    frame.put(std::byte{0x33});
    frame.put(group.last(4));
    frame.put(raw(mac));
    frame.put16(ethertype_ipv6);
    frame.put16(0x6000);
    frame.put16(0);
    frame.put16(icmp_size);
    frame.put(std::byte{next_header_icmpv6});
    frame.put(std::byte{255});
    frame.put(raw(message.source));
    frame.put(group);
    frame.put(std::byte{message.type});
    frame.put(std::byte{0});
    frame.put16(0);  // checksum, below
    frame.put(message.flags);
    frame.pad_to(icmp_at + 8);
    frame.put(raw(message.target));
    frame.put(std::byte{message.option});
    frame.put(std::byte{1});
    frame.put(raw(mac));
    frame.set16(icmp_at + 2, icmpv6_checksum(raw(message.source), group,
                                             frame.view().subspan(icmp_at, icmp_size)));
    return frame;
}

/// ff02::1:ff00:0/104 and the last 24 bits (RFC 4291 section 2.7.1).
IpAddress solicited_node(const IpAddress& address) {
    const auto& last = address.bytes();
    return IpAddress::v6(
        {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, last[13], last[14], last[15]});
}

IpAddress to_v4(Bytes bytes) {
    std::array<std::uint8_t, 4> out{};
    std::transform(bytes.begin(), bytes.end(), out.begin(), std::to_integer<std::uint8_t>);
    return IpAddress::v4(out);
}

IpAddress to_v6(Bytes bytes) {
    std::array<std::uint8_t, 16> out{};
    std::transform(bytes.begin(), bytes.end(), out.begin(), std::to_integer<std::uint8_t>);
    return IpAddress::v6(out);
}

MacAddress to_mac(Bytes bytes) {
    MacAddress mac;
    std::transform(bytes.begin(), bytes.end(), mac.bytes.begin(), std::to_integer<std::uint8_t>);
    return mac;
}

std::optional<Claim> parse_arp(ByteReader& reader) {
    const auto hardware = reader.read<std::uint16_t>();
    const auto protocol = reader.read<std::uint16_t>();
    const auto hardware_size = reader.read<std::uint8_t>();
    const auto protocol_size = reader.read<std::uint8_t>();
    const auto operation = reader.read<std::uint16_t>();
    const Bytes sender_mac = reader.take(6);
    const Bytes sender = reader.take(4);
    if (!reader.ok() || hardware != 1 || protocol != ethertype_ipv4 || hardware_size != 6 ||
        protocol_size != 4 || (operation != arp_op_request && operation != arp_op_reply)) {
        return std::nullopt;
    }
    const IpAddress address = to_v4(sender);
    if (address.is_unspecified()) return std::nullopt;  // a probe (RFC 5227) claims nothing
    const auto kind = operation == arp_op_request ? ClaimKind::arp_request : ClaimKind::arp_reply;
    return Claim{kind, address, to_mac(sender_mac)};
}

/// The link-layer address that an ND option names, else nothing; a malformed option list ends it.
std::optional<MacAddress> link_layer_option(ByteReader& reader, std::uint8_t wanted) {
    while (reader.left() >= 8) {
        const auto type = reader.read<std::uint8_t>();
        const auto units = reader.read<std::uint8_t>();
        if (units == 0) return std::nullopt;
        const Bytes body = reader.take(std::size_t{units} * 8 - 2);
        if (!reader.ok()) return std::nullopt;
        if (type == wanted) return to_mac(body.first(6));
    }
    return std::nullopt;
}

std::optional<Claim> parse_nd(ByteReader& reader, const MacAddress& ethernet_source) {
    const auto version = reader.read<std::uint32_t>() >> 28;
    const auto length = reader.read<std::uint16_t>();
    const auto next_header = reader.read<std::uint8_t>();
    const auto hop_limit = reader.read<std::uint8_t>();
    const Bytes source = reader.take(16);
    const Bytes destination = reader.take(16);
    const Bytes message = reader.take(length);
    if (!reader.ok() || version != 6 || next_header != next_header_icmpv6 || hop_limit != 255 ||
        icmpv6_checksum(source, destination, message) != 0) {
        return std::nullopt;
    }
    ByteReader icmp(message);
    const auto type = icmp.read<std::uint8_t>();
    const auto code = icmp.read<std::uint8_t>();
    icmp.take(6);  // checksum, flags
    const Bytes target = icmp.take(16);
    if (!icmp.ok() || code != 0) return std::nullopt;
    if (type == nd_advertisement) {
        const auto mac = link_layer_option(icmp, option_target_link_layer);
        return Claim{ClaimKind::neighbour_advertisement, to_v6(target),
                     mac.value_or(ethernet_source)};
    }
    const IpAddress sender = to_v6(source);
    if (type == nd_solicitation && !sender.is_unspecified()) {
        const auto mac = link_layer_option(icmp, option_source_link_layer);
        return Claim{ClaimKind::neighbour_solicitation, sender, mac.value_or(ethernet_source)};
    }
    return std::nullopt;
}

}  // namespace

void Frame::put(std::byte value) {
    HAMR_ASSERT(size_ < capacity);
    bytes_[size_++] = value;
}

void Frame::put(Bytes raw_bytes) {
    for (const std::byte value : raw_bytes) put(value);
}

void Frame::put16(unsigned value) {
    put(static_cast<std::byte>((value >> 8) & 0xff));
    put(static_cast<std::byte>(value & 0xff));
}

void Frame::pad_to(std::size_t size) {
    while (size_ < size) put(std::byte{0});
}

void Frame::set16(std::size_t offset, unsigned value) {
    HAMR_ASSERT(offset + 2 <= size_);
    bytes_[offset] = static_cast<std::byte>((value >> 8) & 0xff);
    bytes_[offset + 1] = static_cast<std::byte>(value & 0xff);
}

Frame gratuitous_arp_request(const IpAddress& address, const MacAddress& mac) {
    return arp(arp_op_request, address, address, mac, MacAddress{});
}

Frame gratuitous_arp_reply(const IpAddress& address, const MacAddress& mac) {
    return arp(arp_op_reply, address, address, mac, MacAddress::broadcast());
}

Frame neighbour_advertisement(const IpAddress& address, const MacAddress& mac, bool router) {
    const IpAddress all_nodes =
        IpAddress::v6({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    const std::byte flags = flag_override | (router ? flag_router : std::byte{0});
    return neighbour_message(
        {nd_advertisement, flags, option_target_link_layer, address, all_nodes, address}, mac);
}

Frame solicitation(const IpAddress& address, const IpAddress& source, const MacAddress& mac) {
    if (address.is_v4()) return arp(arp_op_request, source, address, mac, MacAddress{});
    return neighbour_message({nd_solicitation, std::byte{0}, option_source_link_layer, source,
                              solicited_node(address), address},
                             mac);
}

Announcement announcement(const IpAddress& address, const MacAddress& mac, bool router) {
    Announcement out;
    if (address.is_v4()) {
        out.frames[out.count++] = gratuitous_arp_request(address, mac);
        out.frames[out.count++] = gratuitous_arp_reply(address, mac);
    } else {
        out.frames[out.count++] = neighbour_advertisement(address, mac, router);
    }
    return out;
}

const char* to_string(ClaimKind kind) {
    switch (kind) {
        case ClaimKind::arp_request:
            return "ARP request";
        case ClaimKind::arp_reply:
            return "ARP reply";
        case ClaimKind::neighbour_advertisement:
            return "neighbour advertisement";
        case ClaimKind::neighbour_solicitation:
            return "neighbour solicitation";
    }
    return "unknown";
}

std::optional<Claim> parse_claim(Bytes frame) {
    ByteReader reader(frame.first(std::min(frame.size(), longest_looked_at)));
    reader.take(6);
    const Bytes source = reader.take(6);
    unsigned type = reader.read<std::uint16_t>();
    for (int tag = 0; tag < 2 && (type == ethertype_vlan || type == ethertype_service_vlan);
         ++tag) {
        reader.take(2);
        type = reader.read<std::uint16_t>();
    }
    if (!reader.ok()) return std::nullopt;
    if (type == ethertype_arp) return parse_arp(reader);
    if (type == ethertype_ipv6) return parse_nd(reader, to_mac(source));
    return std::nullopt;
}

}  // namespace hamr::vip
