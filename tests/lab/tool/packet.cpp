// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/packet.hpp"

#include "tests/lab/tool/process.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace labtool {

namespace {

std::uint16_t u16_at(Octets bytes, std::size_t at) {
    return static_cast<std::uint16_t>((bytes[at] << 8) | bytes[at + 1]);
}

template <std::size_t N>
std::array<std::uint8_t, N> array_at(Octets bytes, std::size_t at) {
    std::array<std::uint8_t, N> out{};
    std::memcpy(out.data(), bytes.data() + at, N);
    return out;
}

/// The kernel stamps frames with CLOCK_REALTIME; what is printed is CLOCK_BOOTTIME. Both clocks are
/// read at one instant, or nearly: when that took long, somebody else ran in between.
std::int64_t to_boot_ns(const timespec& stamp) {
    constexpr std::int64_t prompt_ns = 5'000;
    constexpr int attempts = 3;
    timespec real{};
    std::int64_t before = 0;
    std::int64_t after = 0;
    for (int i = 0; i < attempts; ++i) {
        before = now_ns();
        clock_gettime(CLOCK_REALTIME, &real);
        after = now_ns();
        if (after - before < prompt_ns) break;
    }
    const std::int64_t age =
        (real.tv_sec - stamp.tv_sec) * 1'000'000'000LL + (real.tv_nsec - stamp.tv_nsec);
    return before + (after - before) / 2 - age;
}

}  // namespace

hamr::Result<InterfaceInfo> interface_info(const std::string& name) {
    const hamr::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    if (name.size() >= sizeof(request.ifr_name)) return hamr::fail("no interface " + name);
    std::memcpy(request.ifr_name, name.data(), name.size());
    InterfaceInfo info;
    info.index = static_cast<int>(if_nametoindex(name.c_str()));
    if (info.index == 0 || ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0) {
        return hamr::fail_errno("interface " + name, errno);
    }
    std::memcpy(info.mac.bytes.data(), request.ifr_hwaddr.sa_data, info.mac.bytes.size());
    return info;
}

std::string interface_name(int index) {
    std::array<char, IF_NAMESIZE> name{};
    const char* found = if_indextoname(static_cast<unsigned>(index), name.data());
    return found == nullptr ? "" : found;
}

std::optional<hamr::IpAddress> own_address(const std::string& interface, hamr::Family family,
                                           bool link_local) {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return std::nullopt;
    std::optional<hamr::IpAddress> found;
    for (const ifaddrs* entry = list; entry != nullptr && !found; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || interface != entry->ifa_name) continue;
        if (family == hamr::Family::ipv4 && entry->ifa_addr->sa_family == AF_INET) {
            sockaddr_in address{};
            std::memcpy(&address, entry->ifa_addr, sizeof(address));
            std::array<std::uint8_t, 4> raw{};
            std::memcpy(raw.data(), &address.sin_addr, raw.size());
            found = hamr::IpAddress::v4(raw);
        } else if (family == hamr::Family::ipv6 && entry->ifa_addr->sa_family == AF_INET6) {
            sockaddr_in6 address{};
            std::memcpy(&address, entry->ifa_addr, sizeof(address));
            std::array<std::uint8_t, 16> raw{};
            std::memcpy(raw.data(), &address.sin6_addr, raw.size());
            const bool local = raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80;
            if (local == link_local) found = hamr::IpAddress::v6(raw);
        }
    }
    freeifaddrs(list);
    return found;
}

hamr::Result<PacketSocket> PacketSocket::open(const std::string& interface,
                                              std::uint16_t protocol) {
    // Protocol 0 at first: nothing from other interfaces may slip in before bind().
    hamr::UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return hamr::fail_errno("packet socket", errno);
    const int on = 1;
    const int receive_buffer = 32 << 20;
    setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    if (interface != "any") {
        const auto info = interface_info(interface);
        if (!info) return tl::unexpected(info.error());
        address.sll_ifindex = info->index;
        packet_mreq membership{};
        membership.mr_ifindex = info->index;
        membership.mr_type = PACKET_MR_PROMISC;
        setsockopt(fd.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership));
    }
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return hamr::fail_errno("bind to " + interface, errno);
    }
    return PacketSocket(std::move(fd));
}

std::optional<Frame> PacketSocket::receive() {
    sockaddr_ll from{};
    iovec part{buffer_.data(), buffer_.size()};
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (length < 0) return std::nullopt;
    Frame frame;
    frame.bytes = Octets(buffer_.data(), static_cast<std::size_t>(length));
    frame.at_ns = now_ns();
    frame.interface = from.sll_ifindex;
    frame.outgoing = from.sll_pkttype == PACKET_OUTGOING;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS) continue;
        timespec stamp{};
        std::memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
        frame.at_ns = to_boot_ns(stamp);
    }
    return frame;
}

hamr::Result<> PacketSocket::send(Octets frame) const {
    if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0) {
        return hamr::fail_errno("send a frame", errno);
    }
    return {};
}

std::optional<Claim> read_claim(Octets frame) {
    if (frame.size() < 14) return std::nullopt;
    Claim claim;
    claim.destination.bytes = array_at<6>(frame, 0);
    claim.source.bytes = array_at<6>(frame, 6);
    const std::uint16_t type = u16_at(frame, 12);
    const Octets payload = frame.subspan(14);
    if (type == ETHERTYPE_ARP && payload.size() >= 28) {
        const auto sender = array_at<4>(payload, 14);
        claim.address = hamr::IpAddress::v4(sender);
        const bool request = u16_at(payload, 6) == 1;
        const bool gratuitous = sender == array_at<4>(payload, 24);
        claim.kind = gratuitous ? "garp" : request ? "arp-request" : "arp-reply";
        return claim;
    }
    if (type == ETHERTYPE_IP && payload.size() >= 20) {
        claim.address = hamr::IpAddress::v4(array_at<4>(payload, 12));
        claim.kind = "ip";
        return claim;
    }
    if (type == ETHERTYPE_IPV6 && payload.size() >= 40) {
        const bool advertisement =
            payload[6] == IPPROTO_ICMPV6 && payload.size() >= 40 + 24 && payload[40] == 136;
        claim.address = hamr::IpAddress::v6(array_at<16>(payload, advertisement ? 48 : 8));
        claim.kind = advertisement ? "na" : "ip";
        return claim;
    }
    return std::nullopt;
}

std::optional<UdpPlace> find_udp(Octets frame) {
    if (frame.size() < 14 + 20 + 8) return std::nullopt;
    UdpPlace place;
    place.ip = 14;
    const std::uint16_t type = u16_at(frame, 12);
    if (type == ETHERTYPE_IP) {
        const bool fragment = (u16_at(frame, place.ip + 6) & 0x3fff) != 0;
        if (frame[place.ip + 9] != IPPROTO_UDP || fragment) return std::nullopt;
        place.udp = place.ip + (frame[place.ip] & 0x0fU) * 4U;
    } else if (type == ETHERTYPE_IPV6 && frame[place.ip + 6] == IPPROTO_UDP) {
        place.family = hamr::Family::ipv6;
        place.udp = place.ip + 40;
    } else {
        return std::nullopt;
    }
    if (frame.size() < place.udp + 8) return std::nullopt;
    if (frame.size() < place.udp + u16_at(frame, place.udp + 4)) return std::nullopt;
    place.source_port = u16_at(frame, place.udp);
    place.destination_port = u16_at(frame, place.udp + 2);
    return place;
}

std::uint32_t checksum_sum(Octets bytes, std::uint32_t start) {
    std::uint32_t sum = start;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += (i % 2 == 0) ? static_cast<std::uint32_t>(bytes[i]) << 8 : bytes[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

std::uint16_t internet_checksum(Octets bytes, std::uint32_t start) {
    return static_cast<std::uint16_t>(~checksum_sum(bytes, start) & 0xffff);
}

void fix_udp_checksum(std::span<std::uint8_t> frame, const UdpPlace& place) {
    const std::uint16_t length = u16_at(frame, place.udp + 4);
    frame[place.udp + 6] = 0;
    frame[place.udp + 7] = 0;
    const bool v4 = place.family == hamr::Family::ipv4;
    const Octets addresses = Octets(frame).subspan(place.ip + (v4 ? 12 : 8), v4 ? 8 : 32);
    const std::uint32_t start = checksum_sum(addresses, IPPROTO_UDP + std::uint32_t{length});
    std::uint16_t sum = internet_checksum(Octets(frame).subspan(place.udp, length), start);
    if (sum == 0) sum = 0xffff;
    frame[place.udp + 6] = static_cast<std::uint8_t>(sum >> 8);
    frame[place.udp + 7] = static_cast<std::uint8_t>(sum & 0xff);
}

void append_u16(std::vector<std::uint8_t>& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value & 0xff));
}

void append(std::vector<std::uint8_t>& out, Octets bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_address(std::vector<std::uint8_t>& out, const hamr::IpAddress& address) {
    append(out, Octets(address.bytes()).first(address.is_v4() ? 4 : 16));
}

std::vector<std::uint8_t> ethernet_header(const hamr::MacAddress& to, const hamr::MacAddress& from,
                                          std::uint16_t type) {
    std::vector<std::uint8_t> out;
    append(out, to.bytes);
    append(out, from.bytes);
    append_u16(out, type);
    return out;
}

void append_ipv6_header(std::vector<std::uint8_t>& out, std::uint8_t next, std::size_t length,
                        const hamr::IpAddress& from, const hamr::IpAddress& to) {
    append(out, std::array<std::uint8_t, 4>{0x60, 0, 0, 0});
    append_u16(out, static_cast<std::uint16_t>(length));
    out.push_back(next);
    out.push_back(255);
    append_address(out, from);
    append_address(out, to);
}

}  // namespace labtool
