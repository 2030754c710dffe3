// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/plan.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::vip {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const InterfaceIndex eth0{2};
const InterfaceIndex eth1{3};
const InterfaceIndex lo{1};
const MacAddress mac0 = *MacAddress::parse("02:00:5e:00:53:01");
const MacAddress mac1 = *MacAddress::parse("02:00:5e:00:53:02");
const MacAddress foreign = *MacAddress::parse("02:00:5e:00:53:99");

IpPrefix prefix(const char* text) {
    return *IpPrefix::parse(text);
}

/// A plan with a picture of a host, its clock, and what it said, one line per action.
struct Host {
    explicit Host(PlanConfig config) : plan(std::move(config)) {
        links.apply(SnapshotBegin{});
        links.apply(LinkSeen{lo, "lo", {}, true, true, true});
        links.apply(AddressSeen{lo, prefix("127.0.0.1/8")});
        links.apply(LinkSeen{eth0, "eth0", mac0, true, true, false});
        links.apply(AddressSeen{eth0, prefix("192.0.2.11/24")});
        links.apply(AddressSeen{eth0, prefix("2001:db8::11/64")});
        links.apply(LinkSeen{eth1, "eth1", mac1, true, true, false});
        links.apply(AddressSeen{eth1, prefix("198.51.100.11/24")});
        links.apply(SnapshotEnd{});
    }

    std::vector<std::string> update() {
        std::vector<std::string> out;
        for (const Action& action : plan.update(links, now)) {
            if (const auto* add = std::get_if<AddAddress>(&action)) {
                requests.push_back(action);
                out.push_back("add " + add->prefix.to_string() + " " + name(add->index));
            } else if (const auto* remove = std::get_if<RemoveAddress>(&action)) {
                requests.push_back(action);
                out.push_back("remove " + remove->prefix.to_string() + " " + name(remove->index));
            } else if (const auto* announce = std::get_if<Announce>(&action)) {
                out.push_back("announce " + announce->address.to_string() + " " +
                              announce->mac.to_string());
            } else if (const auto* question = std::get_if<Solicit>(&action)) {
                solicited.push_back(question->address.to_string() + " from " +
                                    question->source.to_string());
            } else {
                const auto& report = std::get<Report>(action);
                texts.push_back(report.text);
                out.push_back(to_string(report.notice));
            }
        }
        return out;
    }

    std::string name(InterfaceIndex index) const {
        const auto* link = links.find(index);
        return link == nullptr ? "?" : link->seen.name;
    }

    /// The kernel carries out what was asked, events first.
    void kernel_obeys() {
        for (const Action& action : std::exchange(requests, {})) {
            if (const auto* add = std::get_if<AddAddress>(&action)) {
                links.apply(AddressSeen{add->index, add->prefix});
                plan.done(*add, {}, now);
            } else {
                const auto& remove = std::get<RemoveAddress>(action);
                links.apply(AddressGone{remove.index, remove.prefix});
                plan.done(remove, {}, now);
            }
        }
    }

    void kernel_refuses(const char* why) {
        for (const Action& action : std::exchange(requests, {})) {
            if (const auto* add = std::get_if<AddAddress>(&action)) {
                plan.done(*add, fail(why), now);
            } else {
                plan.done(std::get<RemoveAddress>(action), fail(why), now);
            }
        }
    }

    /// Holds with everything in place, the burst over.
    void settle() {
        update();
        plan.hold(now);
        update();
        kernel_obeys();
        update();
        now += 10s;
        update();
        texts.clear();
    }

    Plan plan;
    Links links;
    BootTime now{1000s};
    std::vector<Action> requests;
    std::vector<std::string> texts;
    std::vector<std::string> solicited;
};

PlanConfig v4_only() {
    return {.addresses = {prefix("192.0.2.100/24")}};
}
PlanConfig both() {
    return {.addresses = {prefix("192.0.2.100/24"), prefix("2001:db8::100/64")}};
}

TEST(Plan, does_nothing_before_the_picture_is_complete) {
    Plan plan(v4_only());
    Links links;
    links.apply(SnapshotBegin{});
    links.apply(LinkSeen{eth0, "eth0", mac0, true, true, false});
    plan.hold(BootTime{1s});
    EXPECT_THAT(plan.update(links, BootTime{1s}), IsEmpty());
    EXPECT_EQ(plan.next(), never);
    EXPECT_FALSE(plan.readiness(links).ready);
}

TEST(Plan, holding_adds_then_announces_when_the_kernel_has_confirmed) {
    Host host(both());
    host.plan.hold(host.now);
    EXPECT_THAT(host.update(), ElementsAre("add 192.0.2.100/24 eth0", "add 2001:db8::100/64 eth0"));
    EXPECT_THAT(host.update(), IsEmpty()) << "one request is enough";
    EXPECT_FALSE(host.plan.established());
    host.kernel_obeys();
    EXPECT_THAT(host.update(), ElementsAre("announce 192.0.2.100 02:00:5e:00:53:01",
                                           "announce 2001:db8::100 02:00:5e:00:53:01"));
    EXPECT_TRUE(host.plan.established());
    EXPECT_EQ(host.plan.next(), host.now + 5ms);
    host.now += 5ms;
    EXPECT_EQ(host.update().size(), 2U);
}

TEST(Plan, an_acknowledged_address_may_take_a_moment_to_show) {
    Host host(v4_only());
    host.plan.hold(host.now);
    host.update();
    const auto add = std::get<AddAddress>(host.requests.at(0));
    host.plan.done(add, {}, host.now);
    EXPECT_THAT(host.update(), IsEmpty());
    EXPECT_EQ(host.plan.next(), host.now + Plan::confirmation);
    host.now += Plan::confirmation;
    EXPECT_THAT(host.update(), ElementsAre("add 192.0.2.100/24 eth0")) << "but not for ever";
}

TEST(Plan, releasing_removes_without_a_word) {
    Host host(both());
    host.settle();
    host.plan.release();
    EXPECT_THAT(host.update(),
                ElementsAre("remove 192.0.2.100/24 eth0", "remove 2001:db8::100/64 eth0"));
    EXPECT_THAT(host.update(), IsEmpty());
    host.kernel_obeys();
    EXPECT_THAT(host.update(), IsEmpty());
    EXPECT_FALSE(host.plan.holding());
}

TEST(Plan, releasing_while_the_addition_is_under_way_removes_after_it) {
    Host host(v4_only());
    host.plan.hold(host.now);
    host.update();
    host.plan.release();
    EXPECT_THAT(host.update(), ElementsAre("remove 192.0.2.100/24 eth0"));
    host.kernel_obeys();
    EXPECT_THAT(host.update(), IsEmpty());
}

TEST(Plan, holding_again_while_the_removal_is_under_way_adds_after_it) {
    Host host(v4_only());
    host.settle();
    host.plan.release();
    EXPECT_THAT(host.update(), ElementsAre("remove 192.0.2.100/24 eth0"));
    host.plan.hold(host.now);
    EXPECT_THAT(host.update(), ElementsAre("add 192.0.2.100/24 eth0"));
    host.kernel_obeys();
    EXPECT_THAT(host.update(), ElementsAre("announce 192.0.2.100 02:00:5e:00:53:01"));
}

TEST(Plan, holding_what_is_there_already_only_announces) {
    Host host(v4_only());
    host.links.apply(AddressSeen{eth0, prefix("192.0.2.100/24")});
    host.plan.hold(host.now);
    EXPECT_THAT(host.update(), ElementsAre("announce 192.0.2.100 02:00:5e:00:53:01"));
}

TEST(Plan, leftovers_are_removed_wherever_they_are) {
    Host host(v4_only());
    host.links.apply(AddressSeen{eth0, prefix("192.0.2.100/32")});
    host.links.apply(AddressSeen{lo, prefix("192.0.2.100/24")});
    EXPECT_THAT(host.update(),
                ElementsAre("leftover_removed", "leftover_removed", "remove 192.0.2.100/24 lo",
                            "remove 192.0.2.100/32 eth0"));
    host.kernel_obeys();
    EXPECT_THAT(host.update(), IsEmpty());
}

TEST(Plan, what_somebody_adds_to_a_follower_is_removed_and_named) {
    Host host(v4_only());
    host.update();
    host.links.apply(AddressSeen{eth0, prefix("192.0.2.100/24")});
    EXPECT_THAT(host.update(), ElementsAre("foreign_added", "remove 192.0.2.100/24 eth0"));
}

TEST(Plan, a_leader_removes_it_from_other_interfaces) {
    Host host(v4_only());
    host.settle();
    host.links.apply(AddressSeen{eth1, prefix("192.0.2.100/24")});
    EXPECT_THAT(host.update(), ElementsAre("leftover_removed", "remove 192.0.2.100/24 eth1"));
}

TEST(Plan, a_failed_removal_is_tried_again_and_reported_once) {
    Host host(v4_only());
    host.settle();
    host.plan.release();
    host.update();
    host.kernel_refuses("no");
    EXPECT_THAT(host.update(), ElementsAre("request_failed"));
    EXPECT_EQ(host.plan.next(), host.now + Plan::first_retry);
    host.now += Plan::first_retry;
    EXPECT_THAT(host.update(), ElementsAre("remove 192.0.2.100/24 eth0"));
    host.kernel_refuses("no");
    EXPECT_THAT(host.update(), IsEmpty());
    EXPECT_EQ(host.plan.next(), host.now + 2 * Plan::first_retry);
}

TEST(Plan, a_failed_addition_is_tried_again_with_back_off) {
    Host host(v4_only());
    host.plan.hold(host.now);
    host.update();
    std::vector<Duration> waits;
    for (int i = 0; i < 9; ++i) {
        host.kernel_refuses("permission denied");
        host.update();
        waits.push_back(host.plan.next() - host.now);
        host.now = host.plan.next();
        EXPECT_THAT(host.update(), ElementsAre("add 192.0.2.100/24 eth0"));
    }
    EXPECT_EQ(waits.front(), 10ms);
    EXPECT_EQ(waits.back(), 1s);
    EXPECT_THAT(host.texts, ElementsAre("permission denied; trying again"));
}

TEST(Plan, a_host_whose_kernel_refuses_is_not_ready_until_it_obeys) {
    Host host(v4_only());
    host.plan.hold(host.now);
    host.update();
    const BootTime first = host.now;
    while (host.now - first < Plan::refusal_patience) {
        EXPECT_TRUE(host.plan.readiness(host.links).ready);
        host.kernel_refuses("permission denied");
        host.update();
        host.now = host.plan.next();
        host.update();
    }
    host.kernel_refuses("permission denied");
    EXPECT_FALSE(host.plan.readiness(host.links).ready);
    EXPECT_EQ(host.plan.readiness(host.links).reason,
              "the kernel refuses 192.0.2.100/24: permission denied (tried again when this node "
              "leads or restarts)");
    // Who has handed over for that is not the better one a moment later.
    host.plan.release();
    host.update();
    EXPECT_FALSE(host.plan.readiness(host.links).ready);
    // Where nobody else can lead it is tried again.
    host.plan.hold(host.now);
    host.update();
    EXPECT_FALSE(host.plan.readiness(host.links).ready);
    host.kernel_obeys();
    host.update();
    EXPECT_TRUE(host.plan.readiness(host.links).ready);
}

TEST(Plan, a_request_that_was_put_off_is_no_refusal) {
    Host host(v4_only());
    host.plan.hold(host.now);
    host.update();
    for (int i = 0; i < 20; ++i) {
        for (const Action& action : std::exchange(host.requests, {})) {
            host.plan.put_off(std::get<AddAddress>(action), Error{"no gate yet"}, host.now);
        }
        host.update();
        host.now = host.plan.next();
        host.update();
    }
    EXPECT_TRUE(host.plan.readiness(host.links).ready);
}

TEST(Plan, a_deleted_address_is_put_back_and_announced) {
    Host host(v4_only());
    host.settle();
    host.links.apply(AddressGone{eth0, prefix("192.0.2.100/24")});
    EXPECT_THAT(host.update(), ElementsAre("deleted", "add 192.0.2.100/24 eth0"));
    EXPECT_THAT(host.texts,
                ElementsAre("192.0.2.100/24 on eth0 was deleted by somebody else; put back"));
    host.kernel_obeys();
    EXPECT_THAT(host.update(), ElementsAre("announce 192.0.2.100 02:00:5e:00:53:01"));
}

TEST(Plan, putting_back_is_rate_limited) {
    Host host(v4_only());
    host.settle();
    for (int i = 0; i < Plan::put_back_burst; ++i) {
        host.links.apply(AddressGone{eth0, prefix("192.0.2.100/24")});
        EXPECT_THAT(host.update(), ElementsAre("deleted", "add 192.0.2.100/24 eth0")) << i;
        host.kernel_obeys();
        host.update();
    }
    host.links.apply(AddressGone{eth0, prefix("192.0.2.100/24")});
    EXPECT_THAT(host.update(), ElementsAre("put_back_delayed"));
    EXPECT_EQ(host.plan.next(), host.now + Plan::put_back_period);
    host.now = host.plan.next();
    EXPECT_THAT(host.update(), ElementsAre("add 192.0.2.100/24 eth0"));
}

TEST(Plan, a_policy_lets_a_deliberate_removal_stand) {
    PlanConfig config = v4_only();
    config.put_back = false;
    Host host(config);
    host.settle();
    host.links.apply(AddressGone{eth0, prefix("192.0.2.100/24")});
    EXPECT_THAT(host.update(), ElementsAre("left_deleted"));
    EXPECT_THAT(host.update(), IsEmpty());
    host.plan.release();
    host.plan.hold(host.now);
    EXPECT_THAT(host.update(), ElementsAre("add 192.0.2.100/24 eth0"));
}

TEST(Plan, an_interface_that_is_not_there_is_waited_for) {
    PlanConfig config = v4_only();
    config.interface = "bond0";
    Host host(config);
    EXPECT_EQ(host.plan.readiness(host.links).reason, "interface bond0 is not there yet");
    host.plan.hold(host.now);
    EXPECT_THAT(host.update(), ElementsAre("waiting"));
    EXPECT_THAT(host.update(), IsEmpty()) << "said once";
    EXPECT_EQ(host.plan.next(), never);
    host.links.apply(LinkSeen{InterfaceIndex{9}, "bond0", mac1, false, false, false});
    EXPECT_THAT(host.update(), ElementsAre("waiting"));
    host.links.apply(LinkSeen{InterfaceIndex{9}, "bond0", mac1, true, true, false});
    EXPECT_THAT(host.update(), ElementsAre("ready", "add 192.0.2.100/32 bond0"));
    EXPECT_THAT(host.texts,
                ElementsAre("192.0.2.100/24 is waiting: interface bond0 is not there yet",
                            "192.0.2.100/24 is waiting: interface bond0 is down",
                            "192.0.2.100/24 goes on bond0"));
}

TEST(Plan, an_interface_that_goes_away_and_comes_back_gets_the_address_again) {
    Host host(v4_only());
    host.settle();
    host.links.apply(LinkGone{eth0});
    EXPECT_THAT(host.update(), ElementsAre("waiting"));
    host.links.apply(LinkSeen{InterfaceIndex{7}, "eth0", mac0, true, true, false});
    EXPECT_THAT(host.update(), IsEmpty()) << "no address in the network yet";
    host.links.apply(AddressSeen{InterfaceIndex{7}, prefix("192.0.2.11/24")});
    EXPECT_THAT(host.update(), ElementsAre("ready", "add 192.0.2.100/24 eth0"));
}

TEST(Plan, an_interface_set_down_took_the_ipv6_address_along_itself) {
    Host host(both());
    host.settle();
    host.links.apply(LinkSeen{eth0, "eth0", mac0, false, false, false});
    EXPECT_THAT(host.update(), ElementsAre("waiting", "waiting"));
    host.links.apply(AddressGone{eth0, prefix("2001:db8::100/64")});
    host.links.apply(AddressGone{eth0, prefix("2001:db8::11/64")});
    EXPECT_THAT(host.update(), ElementsAre("waiting")) << "for another reason now";
    host.links.apply(LinkSeen{eth0, "eth0", mac0, true, true, false});
    host.links.apply(AddressSeen{eth0, prefix("2001:db8::11/64")});
    EXPECT_THAT(host.update(), ElementsAre("ready", "announce 192.0.2.100 02:00:5e:00:53:01",
                                           "ready", "add 2001:db8::100/64 eth0"));
}

TEST(Plan, without_carrier_nothing_is_announced_until_it_is_back) {
    Host host(v4_only());
    host.settle();
    host.links.apply(LinkSeen{eth0, "eth0", mac0, true, false, false});
    EXPECT_THAT(host.update(), ElementsAre("carrier_lost"));
    EXPECT_EQ(host.plan.readiness(host.links).reason, "interface eth0 has no carrier");
    host.now += 5min;
    EXPECT_THAT(host.update(), IsEmpty());
    EXPECT_GT(host.plan.next(), host.now);
    host.links.apply(LinkSeen{eth0, "eth0", mac0, true, true, false});
    EXPECT_THAT(host.update(),
                ElementsAre("carrier_back", "announce 192.0.2.100 02:00:5e:00:53:01"));
}

TEST(Plan, a_new_ethernet_address_is_announced) {
    Host host(v4_only());
    host.settle();
    host.links.apply(LinkSeen{eth0, "eth0", foreign, true, true, false});
    EXPECT_THAT(host.update(),
                ElementsAre("mac_changed", "announce 192.0.2.100 02:00:5e:00:53:99"));
}

TEST(Plan, a_foreign_claim_is_named_and_answered) {
    Host host(v4_only());
    host.settle();
    const Claim claim{ClaimKind::arp_reply, prefix("192.0.2.100/24").address, foreign};
    host.plan.claim(claim, host.links, host.now);
    EXPECT_LE(host.plan.next(), host.now);
    EXPECT_THAT(host.update(),
                ElementsAre("foreign_claim", "announce 192.0.2.100 02:00:5e:00:53:01"));
    EXPECT_THAT(host.texts,
                ElementsAre("02:00:5e:00:53:99 also answers for 192.0.2.100 (ARP reply)"));
    host.now += 1ms;
    host.plan.claim(claim, host.links, host.now);
    EXPECT_THAT(host.update(), IsEmpty()) << "answered once per claim_period";
    const BootTime last = host.now;
    std::vector<std::string> said;
    while (host.plan.next() <= last + Plan::claim_over) {
        host.now = host.plan.next();
        for (auto& line : host.update()) said.push_back(line);
    }
    EXPECT_EQ(host.now, last + Plan::claim_over);
    EXPECT_THAT(said, ::testing::Contains("claim_over"));
    EXPECT_EQ(said.back(), "announce 192.0.2.100 02:00:5e:00:53:01");
}

TEST(Plan, who_else_has_a_held_address_is_asked_for_now_and_then) {
    Host host({.addresses = {prefix("192.0.2.100/24"), prefix("2001:db8::100/64")},
               .node_addresses = {prefix("192.0.2.11/24").address}});
    host.links.apply(AddressSeen{eth0, prefix("fe80::11/64")});
    host.update();
    EXPECT_TRUE(host.solicited.empty()) << "not held";
    host.settle();
    EXPECT_THAT(host.solicited, ::testing::Contains("192.0.2.100 from 192.0.2.11"));
    EXPECT_THAT(host.solicited, ::testing::Contains("2001:db8::100 from fe80::11"));
    host.solicited.clear();
    const BootTime end = host.now + Plan::solicit_period * 10;
    for (int i = 0; host.plan.next() < end && i < 1000; ++i) {
        host.now = host.plan.next();
        host.update();
    }
    EXPECT_GE(host.solicited.size(), 18U) << "each of the two";
    EXPECT_LE(host.solicited.size(), 20U);
}

TEST(Plan, without_an_address_of_its_own_it_asks_as_a_probe_does) {
    Host host(v4_only());
    host.settle();
    EXPECT_THAT(host.solicited, ::testing::Each(std::string("192.0.2.100 from 0.0.0.0")));
    EXPECT_FALSE(host.solicited.empty());
}

TEST(Plan, claims_of_this_host_of_other_addresses_and_to_a_follower_are_nothing) {
    Host host(v4_only());
    const IpAddress vip = prefix("192.0.2.100/24").address;
    host.plan.claim({ClaimKind::arp_reply, vip, foreign}, host.links, host.now);
    EXPECT_THAT(host.update(), IsEmpty());
    host.settle();
    host.plan.claim({ClaimKind::arp_reply, vip, mac0}, host.links, host.now);
    host.plan.claim({ClaimKind::arp_reply, vip, mac1}, host.links, host.now);
    host.plan.claim({ClaimKind::arp_reply, prefix("192.0.2.7/24").address, foreign}, host.links,
                    host.now);
    EXPECT_THAT(host.update(), IsEmpty());
}

TEST(Plan, announcing_again_can_be_asked_for) {
    Host host(v4_only());
    host.settle();
    host.plan.announce(host.now);
    EXPECT_THAT(host.update(), ElementsAre("announce 192.0.2.100 02:00:5e:00:53:01"));
}

TEST(Plan, a_held_address_stays_when_a_better_interface_appears) {
    PlanConfig config = v4_only();
    config.addresses = {prefix("203.0.113.5/24")};
    config.node_addresses = {prefix("198.51.100.11/24").address};
    Host host(config);
    host.plan.hold(host.now);
    EXPECT_THAT(host.update(), ElementsAre("add 203.0.113.5/32 eth1"));
    host.kernel_obeys();
    host.update();
    host.links.apply(AddressSeen{eth0, prefix("203.0.113.1/24")});
    EXPECT_THAT(host.update(), IsEmpty());
}

struct ChoiceRow {
    const char* name;
    const char* vip;
    const char* interface;
    const char* node_address;
    const char* expected;  // an interface, or the error
};

TEST(ChooseInterface, follows_configuration_then_network_then_node_address) {
    const std::vector<ChoiceRow> rows{
        {"configured", "192.0.2.100/24", "eth1", "", "eth1"},
        {"configured, absent", "192.0.2.100/24", "eth9", "", "interface eth9 is not there yet"},
        {"by network", "192.0.2.100/24", "", "198.51.100.11", "eth0"},
        {"by network, IPv6", "2001:db8::100/64", "", "", "eth0"},
        {"by node address", "203.0.113.100/24", "", "198.51.100.11", "eth1"},
        {"never lo", "127.0.0.9/8", "", "",
         "no interface has an address in the network of 127.0.0.9/8, nor an address of this node"},
    };
    for (const ChoiceRow& row : rows) {
        PlanConfig config{.addresses = {prefix(row.vip)}, .interface = row.interface};
        if (const auto address = IpAddress::parse(row.node_address)) {
            config.node_addresses = {*address};
        }
        const Host host(config);
        const auto chosen = choose_interface(host.links, config, prefix(row.vip));
        EXPECT_EQ(chosen ? host.name(*chosen) : chosen.error().message(), row.expected) << row.name;
    }
}

TEST(ChooseInterface, the_longest_prefix_wins_and_a_vip_does_not_count) {
    PlanConfig config = v4_only();
    Host host(config);
    host.links.apply(AddressSeen{eth1, prefix("192.0.2.97/28")});
    EXPECT_EQ(choose_interface(host.links, config, config.addresses[0]).value(), eth1);
    config.addresses.push_back(prefix("192.0.2.97/28"));
    EXPECT_EQ(choose_interface(host.links, config, config.addresses[0]).value(), eth0);
}

TEST(PlacedPrefix, is_the_configured_one_only_as_a_secondary_address) {
    PlanConfig config = v4_only();
    const Host host(config);
    const auto* link = host.links.find(eth0);
    EXPECT_EQ(placed_prefix(*link, config, prefix("192.0.2.100/24")), prefix("192.0.2.100/24"));
    EXPECT_EQ(placed_prefix(*link, config, prefix("192.0.2.100/25")), prefix("192.0.2.100/32"));
    EXPECT_EQ(placed_prefix(*link, config, prefix("203.0.113.1/24")), prefix("203.0.113.1/32"));
    EXPECT_EQ(placed_prefix(*link, config, prefix("2001:db8:1::1/64")),
              prefix("2001:db8:1::1/128"));
    config.addresses.push_back(prefix("192.0.2.11/24"));
    EXPECT_EQ(placed_prefix(*link, config, prefix("192.0.2.100/24")), prefix("192.0.2.100/32"));
}

}  // namespace
}  // namespace hamr::vip
