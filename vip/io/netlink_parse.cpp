// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/io/netlink_parse.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

namespace hamr::vip {

namespace {

// <net/if.h> and <linux/if.h> cannot be included together, and only the latter has this one.
constexpr unsigned iff_lower_up = 1U << 16;

template <std::size_t N>
using Attributes = std::array<nlattr*, N>;

std::optional<IpAddress> read_address(int family, nlattr* attribute) {
    if (attribute == nullptr) return std::nullopt;
    const auto size = static_cast<std::size_t>(::nla_len(attribute));
    if (family == AF_INET && size == 4) {
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), ::nla_data(attribute), size);
        return IpAddress::v4(bytes);
    }
    if (family == AF_INET6 && size == 16) {
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), ::nla_data(attribute), size);
        return IpAddress::v6(bytes);
    }
    return std::nullopt;
}

std::optional<KernelEvent> parse_link(nlmsghdr* message) {
    ifinfomsg info{};
    Attributes<IFLA_MAX + 1> attributes{};
    if (::nlmsg_parse(message, sizeof info, attributes.data(), IFLA_MAX, nullptr) < 0) {
        return std::nullopt;
    }
    std::memcpy(&info, ::nlmsg_data(message), sizeof info);
    if (info.ifi_family != AF_UNSPEC || attributes[IFLA_WIRELESS] != nullptr) return std::nullopt;
    const InterfaceIndex index{info.ifi_index};
    if (message->nlmsg_type == RTM_DELLINK) return LinkGone{index};
    nlattr* const name = attributes[IFLA_IFNAME];
    if (name == nullptr) return std::nullopt;
    LinkSeen link;
    link.index = index;
    const auto* text = static_cast<const char*>(::nla_data(name));
    link.name.assign(text, ::strnlen(text, static_cast<std::size_t>(::nla_len(name))));
    if (nlattr* const mac = attributes[IFLA_ADDRESS]; mac != nullptr && ::nla_len(mac) == 6) {
        std::memcpy(link.mac.bytes.data(), ::nla_data(mac), 6);
    }
    link.up = (info.ifi_flags & IFF_UP) != 0;
    link.carrier = (info.ifi_flags & iff_lower_up) != 0;
    link.loopback = (info.ifi_flags & IFF_LOOPBACK) != 0;
    return link;
}

std::optional<KernelEvent> parse_address(nlmsghdr* message) {
    ifaddrmsg info{};
    Attributes<IFA_MAX + 1> attributes{};
    if (::nlmsg_parse(message, sizeof info, attributes.data(), IFA_MAX, nullptr) < 0) {
        return std::nullopt;
    }
    std::memcpy(&info, ::nlmsg_data(message), sizeof info);
    auto address = read_address(info.ifa_family, attributes[IFA_LOCAL]);
    if (!address) address = read_address(info.ifa_family, attributes[IFA_ADDRESS]);
    if (!address || info.ifa_prefixlen > address->bits()) return std::nullopt;
    const InterfaceIndex index{static_cast<int>(info.ifa_index)};
    const IpPrefix prefix{*address, info.ifa_prefixlen};
    if (message->nlmsg_type == RTM_DELADDR) return AddressGone{index, prefix};
    return AddressSeen{index, prefix};
}

std::optional<KernelEvent> parse_traffic_control(nlmsghdr* message) {
    if (::nlmsg_datalen(message) < static_cast<int>(sizeof(tcmsg))) return std::nullopt;
    tcmsg info{};
    std::memcpy(&info, ::nlmsg_data(message), sizeof info);
    return TrafficControlChanged{InterfaceIndex{info.tcm_ifindex}};
}

using Message = std::unique_ptr<nl_msg, decltype(&::nlmsg_free)>;

Message make(std::uint32_t sequence, int type, int flags) {
    Message message(::nlmsg_alloc_size(256), &::nlmsg_free);
    if (!message) throw std::bad_alloc();
    ::nlmsg_put(message.get(), 0, sequence, type, 0, NLM_F_REQUEST | flags);
    return message;
}

std::vector<std::byte> finished(const Message& message) {
    const nlmsghdr* header = ::nlmsg_hdr(message.get());
    const auto* first = reinterpret_cast<const std::byte*>(header);
    return {first, first + header->nlmsg_len};
}

void put_address(const Message& message, InterfaceIndex index, const IpPrefix& prefix) {
    const bool v4 = prefix.address.is_v4();
    ifaddrmsg info{};
    info.ifa_family = v4 ? AF_INET : AF_INET6;
    info.ifa_prefixlen = static_cast<unsigned char>(prefix.length);
    info.ifa_scope = RT_SCOPE_UNIVERSE;
    info.ifa_index = static_cast<unsigned>(index.value);
    ::nlmsg_append(message.get(), &info, sizeof info, NLMSG_ALIGNTO);
    ::nla_put(message.get(), IFA_LOCAL, v4 ? 4 : 16, prefix.address.bytes().data());
    ::nla_put(message.get(), IFA_ADDRESS, v4 ? 4 : 16, prefix.address.bytes().data());
}

}  // namespace

std::optional<KernelEvent> parse_kernel_message(nlmsghdr* message) {
    switch (message->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return parse_link(message);
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return parse_address(message);
        case RTM_NEWQDISC:
        case RTM_DELQDISC:
        case RTM_NEWTFILTER:
        case RTM_DELTFILTER:
        case RTM_DELCHAIN:
            return parse_traffic_control(message);
        default:
            return std::nullopt;
    }
}

std::vector<std::byte> add_address_request(std::uint32_t sequence, InterfaceIndex index,
                                           const IpPrefix& prefix) {
    const Message message = make(sequence, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    put_address(message, index, prefix);
    std::uint32_t flags = 0;
    if (prefix.length == prefix.address.bits()) flags |= IFA_F_NOPREFIXROUTE;
    if (!prefix.address.is_v4()) {
        flags |= IFA_F_NODAD;
        ifa_cacheinfo lifetimes{};
        lifetimes.ifa_prefered = 0;
        lifetimes.ifa_valid = UINT32_MAX;
        ::nla_put(message.get(), IFA_CACHEINFO, sizeof lifetimes, &lifetimes);
    }
    if (flags != 0) ::nla_put_u32(message.get(), IFA_FLAGS, flags);
    return finished(message);
}

std::vector<std::byte> remove_address_request(std::uint32_t sequence, InterfaceIndex index,
                                              const IpPrefix& prefix) {
    const Message message = make(sequence, RTM_DELADDR, NLM_F_ACK);
    put_address(message, index, prefix);
    return finished(message);
}

std::vector<std::byte> dump_request(std::uint32_t sequence, int type) {
    const Message message = make(sequence, type, NLM_F_DUMP);
    if (type == RTM_GETLINK) {
        ifinfomsg info{};
        ::nlmsg_append(message.get(), &info, sizeof info, NLMSG_ALIGNTO);
    } else {
        ifaddrmsg info{};
        ::nlmsg_append(message.get(), &info, sizeof info, NLMSG_ALIGNTO);
    }
    return finished(message);
}

}  // namespace hamr::vip
