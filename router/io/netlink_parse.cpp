// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/netlink_parse.hpp"

#include "router/ruleset.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::router_io {

using router::Flow;

namespace {

using Entry = std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)>;

Endpoint endpoint(const nf_conntrack* entry, nf_conntrack_attr v4, nf_conntrack_attr v6,
                  nf_conntrack_attr port, bool is_v4) {
    Endpoint read;
    read.port = ntohs(nfct_get_attr_u16(entry, port));
    if (is_v4) {
        std::array<std::uint8_t, 4> bytes{};
        const std::uint32_t raw = nfct_get_attr_u32(entry, v4);
        std::memcpy(bytes.data(), &raw, bytes.size());
        read.address = IpAddress::v4(bytes);
    } else {
        std::array<std::uint8_t, 16> bytes{};
        const void* raw = nfct_get_attr(entry, v6);
        if (raw != nullptr) std::memcpy(bytes.data(), raw, bytes.size());
        read.address = IpAddress::v6(bytes);
    }
    return read;
}

router::Translation translation(const nf_conntrack* entry, bool is_v4) {
    constexpr std::uint8_t most_scale = 14;
    router::Translation read;
    read.backend =
        endpoint(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, ATTR_REPL_PORT_SRC, is_v4);
    read.source =
        endpoint(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_DST, is_v4);
    read.timeout_s = nfct_get_attr_u32(entry, ATTR_TIMEOUT);
    read.scale = {std::min(nfct_get_attr_u8(entry, ATTR_TCP_WSCALE_ORIG), most_scale),
                  std::min(nfct_get_attr_u8(entry, ATTR_TCP_WSCALE_REPL), most_scale)};
    read.flags = {nfct_get_attr_u8(entry, ATTR_TCP_FLAGS_ORIG),
                  nfct_get_attr_u8(entry, ATTR_TCP_FLAGS_REPL)};
    return read;
}

/// As the decoder of the peers' stream has it (rule F6).
bool can_be_told(const Endpoint& endpoint) {
    const IpAddress& address = endpoint.address;
    return endpoint.port != 0 && !address.is_unspecified() && !address.is_multicast();
}

bool can_be_told(const Flow& flow) {
    const bool named = can_be_told(flow.id.client) && can_be_told(flow.id.vip);
    return named && (!flow.translation || (can_be_told(flow.translation->backend) &&
                                           can_be_told(flow.translation->source)));
}

}  // namespace

std::optional<Flow> flow_of(const nlmsghdr* message) {
    const Entry entry(nfct_new(), &nfct_destroy);
    if (!entry || nfct_nlmsg_parse(message, entry.get()) < 0) return {};
    if (nfct_get_attr_u8(entry.get(), ATTR_ORIG_L4PROTO) != IPPROTO_TCP) return {};
    // This host's own half of a connection that another host translates.
    if (nfct_get_attr_u16(entry.get(), ATTR_ZONE) == router::apart_zone) return {};
    const bool is_v4 = nfct_get_attr_u8(entry.get(), ATTR_ORIG_L3PROTO) == AF_INET;
    Flow flow;
    flow.id.client =
        endpoint(entry.get(), ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_PORT_SRC, is_v4);
    flow.id.vip =
        endpoint(entry.get(), ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_DST, is_v4);
    const std::uint8_t state = nfct_get_attr_u8(entry.get(), ATTR_TCP_STATE);
    flow.state = static_cast<router::TcpState>(std::min(state, router::max_tcp_state));
    if ((nfct_get_attr_u32(entry.get(), ATTR_STATUS) & IPS_DST_NAT) != 0) {
        flow.translation = translation(entry.get(), is_v4);
    }
    if (!can_be_told(flow)) return {};
    return flow;
}

std::optional<DiagSocket> socket_of(const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg)) return {};
    const auto* socket = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(message));
    return DiagSocket{socket->idiag_family, socket->id};
}

bool is_local(const DiagSocket& socket, const IpAddress& local) {
    const auto* source = reinterpret_cast<const std::uint8_t*>(socket.id.idiag_src);
    const std::uint8_t* wanted = local.bytes().data();
    if (socket.family == AF_INET) return local.is_v4() && std::equal(source, source + 4, wanted);
    if (!local.is_v4()) return std::equal(source, source + 16, wanted);
    constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::equal(mapped.begin(), mapped.end(), source) &&
           std::equal(source + 12, source + 16, wanted);
}

int error_of(const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(int)) return EPROTO;
    int negative = 0;
    std::memcpy(&negative, mnl_nlmsg_get_payload(message), sizeof negative);
    return negative > 0 || negative == INT_MIN ? EPROTO : -negative;
}

}  // namespace hamr::router_io
