// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

// Which kernel settings the embedded router needs, and why. Pure: the list is made here, read and
// written by router/io/sysctl_store.hpp.
//
// On purpose not touched: rp_filter (a strict filter is right when the ways to clients and backends
// are symmetric, which a router host's are), arp_ignore (hosts that answer for addresses of other
// links rely on it), all.forwarding of IPv4 (forwarding is per incoming interface there).

namespace hamr::router {

struct Sysctl {
    /// Below /proc/sys: "net/ipv4/conf/eth0/forwarding". Slashes, since interfaces may have dots.
    std::string path;
    std::string value;
    std::string why;
    /// Only written when the current value is this one.
    std::optional<std::string> only_if{};
    /// A kernel that does not have it (yet: conntrack's appear with its module) is no error.
    bool optional = false;

    friend bool operator==(const Sysctl&, const Sysctl&) = default;
};

struct SysctlInput {
    /// The links by which clients and backends reach this host.
    std::vector<std::string> interfaces;
    /// There is an IPv6 VIP with a route. Without one no IPv6 setting is touched.
    bool ipv6 = false;
    /// The kernel has net.ipv6.conf.IF.force_forwarding (6.17 and newer), which forwards per
    /// interface and leaves router advertisements alone.
    bool force_forwarding = false;
};

/// In the order in which they must be written; restored in the reverse order.
[[nodiscard]] std::vector<Sysctl> embedded_router_sysctls(const SysctlInput& input);

/// What following the flows of a supervised router needs (router/io/flow_sync.hpp), before the
/// first rule that uses connection tracking: besides address_sysctls().
[[nodiscard]] std::vector<Sysctl> tracking_sysctls();

/// What every host that may hold an address needs on the links of its addresses, whatever routes.
[[nodiscard]] std::vector<Sysctl> address_sysctls(const std::vector<std::string>& interfaces);

/// The interfaces on which forwarding was off before, for RulesetInput's guards. `originals` are
/// path and value as recorded before the first change.
struct Guards {
    std::vector<std::string> v4;
    std::vector<std::string> v6;
};
[[nodiscard]] Guards forward_guards(const SysctlInput& input, const std::vector<Sysctl>& originals);

}  // namespace hamr::router
