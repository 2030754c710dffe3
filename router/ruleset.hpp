// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "router/backends.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// The nftables ruleset that makes the kernel route: text for `nft -f -`, one transaction that
// replaces every rule of the table `inet hamr`. Established flows live in conntrack, so that
// replacing rules moves new connections only. Needs nft 1.0.6 or newer, and a kernel with
// connection tracking zones. Pure.
//
// The same rules stand on every router host. Which of them speak depends on whether the VIP is on
// the host (`fib daddr type local`), so that nothing is loaded at the moment of a handover.
//
// On the host that has the VIP
//   prerouting, before NAT    a TCP packet for the VIP that belongs to no flow and is no SYN is
//                             dropped, never delivered: a new leader may not know its flow yet. One
//                             of a flow in a `reset` set is answered with a TCP reset
//   prerouting, output, NAT   a new connection goes to one backend, or to several by turns; this
//                             host's own clients are served as others are
//   postrouting, input, NAT   those flows, and no others, get the VIP as their source, also when
//                             the backend is on this host
//   input                     what is left had no backend: a TCP reset, at once
// On the others
//   prerouting                what comes for the VIP passes on as it is, untracked, to the host
//   that
//                             has the VIP now. A host that had the VIP a moment ago (`held_time`)
//                             still translates the flows that it knows, and passes on the rest
//   output, prerouting        what this host itself says to the VIP and hears from it is tracked in
//                             a zone of its own (`apart_zone`): its clients, and its backend, whose
//                             flows another host translates. In the common zone these entries would
//                             stand in the way of those flows' copies, and later find them
// On all
//   forward                   on links where forwarding was off before (the guard), nothing else
//                             is forwarded; what is passed on has four hops left, since former
//                             leaders may know the VIP at one another
//   output                    our tickles (tickle_packet.hpp) are in nobody's conntrack; no ICMPv6
//                             redirects leave towards the links of the VIPs; TCP resets of this
//                             host get `reset_mark`, without which the gate lets none of them out:
//                             when these rules are gone the kernel would reset every flow
// Its NAT chains come before other tables' NAT; other tables' filters are left alone.

namespace hamr::router {

/// The name by which leftovers are recognised; nothing else may use it.
inline constexpr const char* table_name = "hamr";

/// Entries of conntrack in this zone are never flows: they are this host's own half of connections
/// that another host translates.
inline constexpr std::uint16_t apart_zone = 8112;

/// The mark of packets that says so; the gate's constant, too.
inline constexpr std::uint32_t reset_mark = 0x48414d52;

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
/// the same text, so that comparing texts tells whether anything is to be done. Loading it keeps
/// the elements of the reset sets: they are of use for seconds after the roles have changed.
[[nodiscard]] Ruleset render(const RulesetInput& input);

/// The two ways of a flow: from the client to the VIP, and from the backend to the VIP with the
/// port that the backend sees.
struct Way {
    Endpoint from;
    Endpoint to;

    friend bool operator==(const Way&, const Way&) = default;
};

/// How long a host goes on translating flows after it has lost the VIP, by the rules; shorter than
/// the time for which the gate lets them out after a handover (`forward`, 2 s), so that no packet
/// is translated and then dropped.
inline constexpr std::chrono::milliseconds held_time{1500};

/// How long a way is reset after it was named, by the kernel's count: two tickles and some delay.
inline constexpr std::chrono::seconds reset_time{5};

/// Texts for `nft -f -` that make the kernel answer what comes along these ways, while it belongs
/// to no flow, with a TCP reset; for `reset_time`. To be loaded while the table stands, before the
/// flows' entries are deleted and their ends tickled, and each before the next one is begun: a text
/// is a transaction of at most `resets_per_text` elements (tried: 25 ms of a processor, 60 ms for
/// 10,000). A way may be named again, which does not extend its time. A way between families is
/// left out; one of a family without VIPs makes its text fail.
[[nodiscard]] std::vector<std::string> render_resets(const std::vector<Way>& ways);
inline constexpr std::size_t resets_per_text = 4000;

/// For a router that ends the connections itself (a supervised one): the table only makes the
/// kernel follow the connections to these addresses, and keeps our tickles (tickle_packet.hpp) out
/// of connection tracking, so that what they provoke is no part of any flow. It drops nothing.
/// Without VIPs: the text that removes it.
[[nodiscard]] std::string render_tracking(const std::vector<IpAddress>& vips);

/// Text that removes the table, also if it is not there.
[[nodiscard]] std::string render_removal();

}  // namespace hamr::router
