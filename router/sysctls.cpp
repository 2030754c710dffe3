// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/sysctls.hpp"

#include <algorithm>

namespace hamr::router {

namespace {

std::string v4_conf(const std::string& link, const char* key) {
    return "net/ipv4/conf/" + link + "/" + key;
}

std::string v6_conf(const std::string& link, const char* key) {
    return "net/ipv6/conf/" + link + "/" + key;
}

Sysctl arp_announce(const std::string& link) {
    return {v4_conf(link, "arp_announce"), "2",
            "an ARP request of this host must not name the VIP as its sender"};
}

void add_ipv6(const SysctlInput& input, std::vector<Sysctl>& list) {
    if (input.force_forwarding) {
        for (const std::string& link : input.interfaces) {
            list.push_back({v6_conf(link, "force_forwarding"), "1", "route IPv6 flows of the VIP"});
        }
        return;
    }
    // Older kernels forward IPv6 only when "all" says so, which makes every link a router's: their
    // addresses and routes from router advertisements go unless accept_ra is 2 before that.
    for (const std::string& link : input.interfaces) {
        list.push_back({v6_conf(link, "accept_ra"), "2",
                        "go on listening to router advertisements while forwarding", "1", true});
    }
    list.push_back({v6_conf("all", "forwarding"), "1", "route IPv6 flows of the VIP"});
}

bool was_off(const std::vector<Sysctl>& originals, const std::string& path) {
    return std::any_of(originals.begin(), originals.end(), [&](const Sysctl& original) {
        return original.path == path && original.value == "0";
    });
}

}  // namespace

std::vector<Sysctl> embedded_router_sysctls(const SysctlInput& input) {
    std::vector<Sysctl> list = tracking_sysctls();
    list.push_back({"net/netfilter/nf_conntrack_tcp_be_liberal",
                    "1",
                    "a flow taken over from a peer has windows that this host has not seen",
                    {},
                    true});
    // A redirect is sent when "all" or the interface says so. Redirects first: none may leave once
    // forwarding is on.
    list.push_back({v4_conf("all", "send_redirects"), "0",
                    "clients and backends on one link must not learn to go around this host"});
    for (const std::string& link : input.interfaces) {
        list.push_back({v4_conf(link, "send_redirects"), "0",
                        "clients and backends on one link must not learn to go around this host"});
        list.push_back(arp_announce(link));
        list.push_back({v4_conf(link, "forwarding"), "1", "route IPv4 flows of the VIP"});
    }
    if (input.ipv6) add_ipv6(input, list);
    return list;
}

std::vector<Sysctl> tracking_sysctls() {
    return {{"net/netfilter/nf_conntrack_events",
             "1",
             "every flow's end is told, also when it began before the listener",
             {},
             true}};
}

std::vector<Sysctl> address_sysctls(const std::vector<std::string>& interfaces) {
    std::vector<Sysctl> list;
    for (const std::string& link : interfaces) list.push_back(arp_announce(link));
    return list;
}

Guards forward_guards(const SysctlInput& input, const std::vector<Sysctl>& originals) {
    Guards guards;
    for (const std::string& link : input.interfaces) {
        if (was_off(originals, v4_conf(link, "forwarding"))) guards.v4.push_back(link);
        if (was_off(originals, v6_conf(link, "force_forwarding"))) guards.v6.push_back(link);
    }
    if (was_off(originals, v6_conf("all", "forwarding"))) guards.v6 = {"*"};
    return guards;
}

}  // namespace hamr::router
