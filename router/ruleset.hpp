// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "router/backends.hpp"

#include <string>
#include <vector>

// The nftables ruleset that makes the kernel route: text for `nft -f -`, one transaction that
// replaces the whole table `inet hamr`. Established flows live in conntrack, so that replacing the
// table moves new connections only. Needs nft 1.0.6 or newer. Pure.
//
// What the table does for a packet to VIP:port of a route
//   prerouting, before NAT    a TCP packet for a VIP that belongs to no flow and is no SYN is
//                             dropped, never delivered: a new leader may not know its flow yet
//   prerouting, NAT           a new connection goes to one backend, or to several by turns
//   forward                   on links where forwarding was off before (the guard), nothing else
//                             is forwarded
//   postrouting, NAT          those flows, and no others, get the VIP as their source
//   input                     what is left had no backend: a TCP reset, at once
//   output                    no ICMPv6 redirects towards the links of the VIPs
// Its NAT chains come before other tables' NAT; other tables' filters are left alone.

namespace hamr::router {

/// The name by which leftovers are recognised; nothing else may use it.
inline constexpr const char* table_name = "hamr";

struct RulesetInput {
    std::vector<IpAddress> vips;
    std::vector<RoutePlan> routes;
    /// Interfaces on which only our flows may be forwarded, since forwarding was off before; "*" is
    /// every interface.
    std::vector<std::string> guard_v4;
    std::vector<std::string> guard_v6;
    /// Interfaces towards which this host sends no ICMPv6 redirects (IPv6 has no sysctl for it).
    std::vector<std::string> no_redirects;
};

struct Ruleset {
    std::string text;
    /// A VIP whose family no backend has; its connections are reset.
    std::vector<Warning> warnings;
};

/// The table for this input. Without VIPs or routes: the text that removes it. The same input gives
/// the same text, so that comparing texts tells whether anything is to be done.
[[nodiscard]] Ruleset render(const RulesetInput& input);

/// For a router that ends the connections itself (a supervised one): the table only makes the
/// kernel follow the connections to these addresses, and keeps our tickles (tickle_packet.hpp) out
/// of connection tracking, so that what they provoke is no part of any flow. It drops nothing.
/// Without VIPs: the text that removes it.
[[nodiscard]] std::string render_tracking(const std::vector<IpAddress>& vips);

/// Text that removes the table, also if it is not there.
[[nodiscard]] std::string render_removal();

}  // namespace hamr::router
