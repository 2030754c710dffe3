// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "vip/links.hpp"

#include <cstdint>
#include <optional>
#include <vector>

struct nlmsghdr;

// The rtnetlink messages of this room, read and written; no socket here.

namespace hamr::vip {

/// One message as an event, or nothing when it is of another kind or malformed. `message` must be
/// complete: nlmsg_len bytes are readable. Messages about bridge ports (family AF_BRIDGE) and
/// wireless scans look like link changes and are none: they yield nothing.
[[nodiscard]] std::optional<KernelEvent> parse_kernel_message(nlmsghdr* message);

/// RTM_NEWADDR as the plan wants it: scope global; IPv6 without duplicate address detection and
/// deprecated (preferred lifetime 0), so that it is not picked as a source while another address is
/// there; a host prefix brings no route.
[[nodiscard]] std::vector<std::byte> add_address_request(std::uint32_t sequence,
                                                         InterfaceIndex index,
                                                         const IpPrefix& prefix);
[[nodiscard]] std::vector<std::byte> remove_address_request(std::uint32_t sequence,
                                                            InterfaceIndex index,
                                                            const IpPrefix& prefix);
/// A request for all links (RTM_GETLINK) or all addresses (RTM_GETADDR).
[[nodiscard]] std::vector<std::byte> dump_request(std::uint32_t sequence, int type);

}  // namespace hamr::vip
