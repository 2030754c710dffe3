// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/gate/filters.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>

#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

namespace hamr::vip {

namespace {

using Socket = std::unique_ptr<mnl_socket, decltype(&::mnl_socket_close)>;

/// libmnl's attribute callbacks, without a table: the wanted one of an attribute list, or null.
template <class Range>
const nlattr* attribute(Range first_offset_parser, std::uint16_t wanted) {
    struct Search {
        std::uint16_t wanted;
        const nlattr* found;
    } search{wanted, nullptr};
    first_offset_parser(
        [](const nlattr* candidate, void* data) {
            auto* s = static_cast<Search*>(data);
            if (::mnl_attr_get_type(candidate) == s->wanted) s->found = candidate;
            return static_cast<int>(MNL_CB_OK);
        },
        &search);
    return search.found;
}

const nlattr* top(const nlmsghdr* message, std::uint16_t wanted) {
    return attribute([&](mnl_attr_cb_t callback,
                         void* data) { ::mnl_attr_parse(message, sizeof(tcmsg), callback, data); },
                     wanted);
}

const nlattr* nested(const nlattr* nest, std::uint16_t wanted) {
    return attribute(
        [&](mnl_attr_cb_t callback, void* data) { ::mnl_attr_parse_nested(nest, callback, data); },
        wanted);
}

std::string text(const nlattr* value) {
    const auto size = ::mnl_attr_get_payload_len(value);
    const char* first = ::mnl_attr_get_str(value);
    return {first, std::find(first, first + size, '\0')};
}

int take_filter(const nlmsghdr* message, void* data) {
    if (message->nlmsg_type != RTM_NEWTFILTER) return MNL_CB_OK;
    const auto* info = static_cast<const tcmsg*>(::mnl_nlmsg_get_payload(message));
    const nlattr* kind = top(message, TCA_KIND);
    if (info->tcm_handle == 0 || kind == nullptr) return MNL_CB_OK;  // the chain, not a filter
    Filter filter;
    filter.handle = info->tcm_handle;
    filter.priority = info->tcm_info >> 16;
    filter.kind = text(kind);
    const nlattr* options = top(message, TCA_OPTIONS);
    if (filter.kind == "bpf" && options != nullptr) {
        if (const nlattr* name = nested(options, TCA_BPF_NAME)) filter.name = text(name);
        if (const nlattr* id = nested(options, TCA_BPF_ID)) filter.program = ::mnl_attr_get_u32(id);
    }
    static_cast<std::vector<Filter>*>(data)->push_back(std::move(filter));
    return MNL_CB_OK;
}

}  // namespace

Result<std::vector<Filter>> list_filters(InterfaceIndex index, FilterSide side) {
    const Socket socket(::mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), &::mnl_socket_close);
    if (!socket || ::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
        return fail_errno("netlink socket", errno);
    }
    alignas(nlmsghdr) std::array<char, 32 * 1024> buffer{};
    nlmsghdr* request = ::mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETTFILTER;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = 1;
    auto* info = static_cast<tcmsg*>(::mnl_nlmsg_put_extra_header(request, sizeof(tcmsg)));
    info->tcm_ifindex = index.value;
    info->tcm_parent =
        TC_H_MAKE(TC_H_CLSACT, side == FilterSide::egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
    const std::string what = "list the filters of interface " + std::to_string(index.value);
    if (::mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) {
        return fail_errno(what, errno);
    }
    std::vector<Filter> filters;
    const unsigned port = ::mnl_socket_get_portid(socket.get());
    int going = MNL_CB_OK;
    while (going > MNL_CB_STOP) {
        const ssize_t size = ::mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        if (size < 0) return fail_errno(what, errno);
        going = ::mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 1, port, take_filter,
                             &filters);
    }
    // No clsact, or no interface any more: no filter.
    if (going < 0 && errno != EINVAL && errno != ENOENT && errno != ENODEV) {
        return fail_errno(what, errno);
    }
    return filters;
}

}  // namespace hamr::vip
