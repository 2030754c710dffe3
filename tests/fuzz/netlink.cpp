// SPDX-License-Identifier: GPL-2.0-or-later
// Messages of the kernel about links and addresses: what is told of an address is what a request
// for it says; nothing behind the message is read.
#include "tests/fuzz/target.hpp"
#include "vip/io/netlink_parse.hpp"
#include "vip/links.hpp"

#include <cstring>
#include <memory>
#include <variant>

#include <linux/rtnetlink.h>

namespace hamr::fuzz {

namespace {

using namespace hamr::vip;

/// Memory of just this size, so that a look behind it is noticed.
std::optional<KernelEvent> parse(Bytes input, std::optional<std::uint16_t> type) {
    if (input.size() < sizeof(nlmsghdr)) return {};
    const std::unique_ptr<std::byte[]> copy(new std::byte[input.size()]);
    std::copy(input.begin(), input.end(), copy.get());
    auto* const message = reinterpret_cast<nlmsghdr*>(copy.get());
    message->nlmsg_len = static_cast<std::uint32_t>(input.size());
    message->nlmsg_type = type.value_or(message->nlmsg_type);
    return parse_kernel_message(message);
}

void expect_same(const KernelEvent& event) {
    if (const auto* seen = std::get_if<AddressSeen>(&event)) {
        HAMR_ASSERT(seen->prefix.length >= 0 && seen->prefix.length <= seen->prefix.address.bits());
        HAMR_ASSERT(parse(add_address_request(1, seen->index, seen->prefix), {}) == event);
    }
    if (const auto* gone = std::get_if<AddressGone>(&event)) {
        HAMR_ASSERT(parse(remove_address_request(1, gone->index, gone->prefix), {}) == event);
    }
}

void run(Bytes input) {
    constexpr std::uint16_t types[] = {RTM_NEWLINK,    RTM_DELLINK,    RTM_NEWADDR,
                                       RTM_DELADDR,    RTM_NEWQDISC,   RTM_DELQDISC,
                                       RTM_NEWTFILTER, RTM_DELTFILTER, RTM_DELCHAIN};
    Links links;
    if (const auto event = parse(input, {})) links.apply(*event);
    for (const std::uint16_t type : types) {
        const auto event = parse(input, type);
        if (!event) continue;
        expect_same(*event);
        links.apply(*event);
    }
    HAMR_ASSERT(links.all().size() <= 1);
}

}  // namespace

const Target netlink{"netlink", run, 16 << 10, 16};

}  // namespace hamr::fuzz
