// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_rules.hpp"

#include "base/unique_fd.hpp"
#include "router/ruleset.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

namespace hamr::router_io {

Result<bool> has_table(const std::string& name) {
    const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) return fail_errno("netlink socket for nftables", errno);
    alignas(nlmsghdr) std::array<char, 512> buffer{};
    nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
    header->nlmsg_flags = NLM_F_REQUEST;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    family->nfgen_family = NFPROTO_INET;
    family->version = NFNETLINK_V0;
    mnl_attr_put_strz(header, NFTA_TABLE_NAME, name.c_str());
    if (::send(fd.get(), header, header->nlmsg_len, 0) < 0) {
        return fail_errno("ask nftables for its tables", errno);
    }
    // The kernel has answered before send() returned.
    const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) {
        return fail_errno("ask nftables for its tables", size < 0 ? errno : EPROTO);
    }
    const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (answer->nlmsg_type != NLMSG_ERROR) return true;
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer));
    if (error->error == -ENOENT) return false;
    return fail_errno("ask nftables for its tables", -error->error);
}

FlowRules::FlowRules(boost::asio::any_io_executor executor, std::string text, Events events)
    : text_(std::move(text)), events_(std::move(events)), nft_(std::move(executor)) {}

void FlowRules::start() {
    stopped_ = false;
    load();
}

void FlowRules::load() {
    nft_.apply(text_, [this](const Result<>& result) {
        if (stopped_) return;
        if (!result) return events_.failed(result.error());
        events_.loaded(std::exchange(stood_, true));
    });
}

void FlowRules::look() {
    if (stopped_ || nft_.busy()) return;
    const auto there = has_table(router::table_name);
    if (there && !*there) load();
}

}  // namespace hamr::router_io
