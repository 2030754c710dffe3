// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_count.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

namespace hamr::router_io {

namespace {

struct Count {
    const std::vector<IpAddress>& vips;
    std::uint64_t flows = 0;
};

IpAddress original_destination(const nf_conntrack* entry) {
    if (nfct_get_attr_u8(entry, ATTR_ORIG_L3PROTO) == AF_INET6) {
        std::array<std::uint8_t, 16> bytes{};
        const void* raw = nfct_get_attr(entry, ATTR_ORIG_IPV6_DST);
        if (raw != nullptr) std::memcpy(bytes.data(), raw, bytes.size());
        return IpAddress::v6(bytes);
    }
    std::array<std::uint8_t, 4> bytes{};
    const std::uint32_t raw = nfct_get_attr_u32(entry, ATTR_ORIG_IPV4_DST);
    std::memcpy(bytes.data(), &raw, bytes.size());
    return IpAddress::v4(bytes);
}

int look(nf_conntrack_msg_type, nf_conntrack* entry, void* data) {
    auto& count = *static_cast<Count*>(data);
    const bool translated = (nfct_get_attr_u32(entry, ATTR_STATUS) & IPS_DST_NAT) != 0 &&
                            nfct_get_attr_u8(entry, ATTR_TCP_STATE) == TCP_CONNTRACK_ESTABLISHED;
    const IpAddress destination = original_destination(entry);
    const bool ours =
        std::find(count.vips.begin(), count.vips.end(), destination) != count.vips.end();
    if (translated && ours) ++count.flows;
    return NFCT_CB_CONTINUE;
}

}  // namespace

Result<std::uint64_t> count_flows(const std::vector<IpAddress>& vips) {
    const std::unique_ptr<nfct_handle, decltype(&nfct_close)> handle(nfct_open(CONNTRACK, 0),
                                                                     &nfct_close);
    if (!handle) return fail_errno("connection tracking", errno);
    Count count{vips};
    nfct_callback_register(handle.get(), NFCT_T_ALL, &look, &count);
    const std::uint32_t any_family = AF_UNSPEC;
    if (nfct_query(handle.get(), NFCT_Q_DUMP, &any_family) < 0) {
        return fail_errno("the table of connections", errno);
    }
    return count.flows;
}

}  // namespace hamr::router_io
