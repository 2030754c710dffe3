// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flows.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr std::size_t peer = 1;
constexpr std::size_t third = 2;

IpAddress address(const std::string& text) {
    return *IpAddress::parse(text);
}

FlowId id(std::uint16_t client_port, const std::string& vip = "192.0.2.100:6446") {
    return {{address(vip[0] == '[' ? "2001:db8::50" : "192.0.2.50"), client_port},
            *Endpoint::parse(vip)};
}

Flow flow(std::uint16_t client_port, TcpState state = TcpState::established) {
    return {id(client_port), state, {}};
}

FlowTable::Config two_groups(std::size_t limit = 1000) {
    FlowTable::Config config;
    config.groups = {{address("192.0.2.100"), address("2001:db8::100")}, {address("192.0.2.101")}};
    config.nodes = 3;
    config.seed = 7;
    config.limit = limit;
    return config;
}

struct FlowsTest : testing::Test {
    FlowTable table{two_groups()};

    void hears(std::size_t node, const Flow& of, bool to_be_reset = false) {
        EXPECT_EQ(table.add(node, of), to_be_reset);
    }
    std::vector<std::uint16_t> foreign(std::size_t group = 0) {
        std::vector<std::uint16_t> ports;
        for (const FlowId& found : table.foreign(group)) ports.push_back(found.client.port);
        std::sort(ports.begin(), ports.end());
        return ports;
    }
};

// What peers are told
// ------------------------------------------------------------------------------

TEST_F(FlowsTest, a_flow_is_told_when_it_is_open_and_when_it_ends) {
    table.lead(0, true);
    table.local(flow(1, TcpState::syn_sent), Heard::begun);
    table.local(flow(1, TcpState::syn_recv), Heard::changed);
    EXPECT_TRUE(table.take_changes().empty());
    table.local(flow(1), Heard::changed);
    EXPECT_THAT(table.take_changes().added, ElementsAre(flow(1)));
    EXPECT_TRUE(table.take_changes().empty()) << "once";
    table.local(flow(1), Heard::changed);
    EXPECT_TRUE(table.take_changes().empty()) << "nothing new";
    table.local(flow(1, TcpState::fin_wait), Heard::changed);
    EXPECT_THAT(table.take_changes().added, ElementsAre(flow(1, TcpState::fin_wait)));
    table.local(flow(1, TcpState::time_wait), Heard::changed);
    const auto changes = table.take_changes();
    EXPECT_THAT(changes.added, IsEmpty());
    EXPECT_THAT(changes.removed, ElementsAre(id(1)));
    EXPECT_EQ(table.size(), 0U);
}

TEST_F(FlowsTest, a_flow_that_came_and_went_is_not_told) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    table.local_gone(id(1));
    EXPECT_TRUE(table.take_changes().empty());
}

TEST_F(FlowsTest, a_port_used_again_at_once_is_there_afterwards) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    (void)table.take_changes();
    table.local_gone(id(1));
    table.local(flow(1, TcpState::close_wait), Heard::begun);
    const auto changes = table.take_changes();
    EXPECT_THAT(changes.removed, ElementsAre(id(1)));
    EXPECT_THAT(changes.added, ElementsAre(flow(1, TcpState::close_wait))) << "applied second";
}

TEST_F(FlowsTest, other_addresses_and_mixed_families_are_nobody_s) {
    table.local({id(1, "192.0.2.99:6446"), TcpState::established, {}}, Heard::begun);
    table.local({{*Endpoint::parse("192.0.2.50:1"), *Endpoint::parse("[2001:db8::100]:6446")},
                 TcpState::established,
                 {}},
                Heard::begun);
    hears(peer, {id(1, "192.0.2.99:6446"), TcpState::established, {}});
    EXPECT_EQ(table.size(), 0U);
}

TEST_F(FlowsTest, both_families_and_translations_come_back_as_they_went_in) {
    Flow v6{id(9, "[2001:db8::100]:6446"), TcpState::established, {}};
    v6.translation = Translation{*Endpoint::parse("[2001:db8::21]:3306"),
                                 *Endpoint::parse("[2001:db8::100]:40000"),
                                 432'000,
                                 {7, 8},
                                 {1, 2}};
    table.local(v6, Heard::begun);
    table.local(flow(1), Heard::begun);
    EXPECT_THAT(table.take_changes().added, UnorderedElementsAre(v6, flow(1)));
    EXPECT_EQ(table.own(v6.id), v6);
    v6.translation->timeout_s = 10;
    table.local(v6, Heard::changed);
    EXPECT_TRUE(table.take_changes().empty()) << "time that passes is no news";
    v6.translation->scale = {9, 9};
    table.local(v6, Heard::changed);
    EXPECT_THAT(table.take_changes().added, ElementsAre(v6));
}

TEST_F(FlowsTest, what_a_snapshot_told_is_taken_back_when_it_ends) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    EXPECT_THAT(table.own(), ElementsAre(id(1)));
    table.local_gone(id(1));
    EXPECT_THAT(table.take_changes().removed, ElementsAre(id(1)));
}

// Dumps -------------------------------------------------------------------------------------------

TEST_F(FlowsTest, a_dump_removes_what_it_does_not_name) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    table.local(flow(2), Heard::begun);
    (void)table.take_changes();
    table.begin_dump();
    table.local(flow(2), Heard::dumped);
    table.local(flow(3), Heard::dumped);
    table.end_dump();
    const auto changes = table.take_changes();
    EXPECT_THAT(changes.removed, ElementsAre(id(1)));
    EXPECT_THAT(changes.added, ElementsAre(flow(3)));
}

TEST_F(FlowsTest, an_end_heard_during_a_dump_is_newer_than_the_dump) {
    table.lead(0, true);
    table.begin_dump();
    table.local(flow(1), Heard::begun);
    table.local_gone(id(1));
    table.local(flow(1), Heard::dumped);
    table.local_gone(id(2));
    table.local(flow(2), Heard::begun);
    table.local(flow(2), Heard::dumped);
    table.end_dump();
    EXPECT_THAT(table.take_changes().added, ElementsAre(flow(2)));
    EXPECT_EQ(table.size(), 1U);
}

// Peers -------------------------------------------------------------------------------------------

TEST_F(FlowsTest, a_snapshot_replaces_what_the_peer_said_before) {
    hears(peer, flow(1));
    hears(third, flow(5));
    table.begin(peer);
    hears(peer, flow(2));
    EXPECT_EQ(table.count(peer), 2U) << "until its end the old ones stay";
    table.end(peer);
    EXPECT_THAT(foreign(), ElementsAre(2, 5));
    table.begin(peer);
    table.begin(peer);
    hears(peer, flow(3));
    table.end(peer);
    EXPECT_THAT(foreign(), ElementsAre(3, 5));
    table.forget(third);
    EXPECT_THAT(foreign(), ElementsAre(3));
    EXPECT_EQ(table.count(third), 0U);
}

TEST_F(FlowsTest, a_flow_has_one_owner_and_the_kernel_knows_best) {
    hears(peer, flow(1));
    hears(third, flow(1));
    EXPECT_EQ(table.count(peer), 0U);
    EXPECT_EQ(table.count(third), 1U);
    table.remove(peer, id(1));
    EXPECT_EQ(table.count(third), 1U) << "not the peer's to remove any more";
    table.local(flow(1), Heard::begun);
    EXPECT_EQ(table.count(third), 0U);
    hears(peer, flow(1));
    EXPECT_EQ(table.count(FlowTable::self), 1U);
    table.remove(third, id(1));
    EXPECT_EQ(table.count(FlowTable::self), 1U);
}

TEST_F(FlowsTest, the_limit_holds_for_all_together) {
    FlowTable small(two_groups(2));
    small.local(flow(1), Heard::begun);
    EXPECT_FALSE(small.add(peer, flow(2)));
    EXPECT_FALSE(small.add(peer, flow(3)));
    small.local(flow(4), Heard::begun);
    EXPECT_EQ(small.size(), 2U);
    EXPECT_EQ(small.refused(), 2U);
    EXPECT_FALSE(small.add(peer, flow(2))) << "a known one is no new one";
    EXPECT_EQ(small.refused(), 2U);
}

// Takeover ----------------------------------------------------------------------------------------

TEST_F(FlowsTest, the_new_leader_resets_what_ended_elsewhere_until_it_answers) {
    hears(peer, flow(1));
    hears(third, flow(2));
    hears(peer, {id(3, "192.0.2.101:6446"), TcpState::established, {}});
    table.local(flow(4), Heard::begun);
    table.lead(0, true);
    EXPECT_THAT(foreign(), ElementsAre(1, 2)) << "of this group, and not its own";
    table.local(flow(1), Heard::begun);
    table.local(flow(1, TcpState::close), Heard::changed);
    EXPECT_THAT(foreign(), ElementsAre(2));
    EXPECT_EQ(table.answered(), 1U);
    table.drop_foreign(0);
    EXPECT_THAT(foreign(), IsEmpty());
    EXPECT_THAT(foreign(1), ElementsAre(3));
    EXPECT_EQ(table.count(FlowTable::self), 1U);
}

TEST_F(FlowsTest, a_leader_that_hears_of_a_flow_elsewhere_resets_it_once) {
    table.lead(0, true);
    hears(peer, flow(1), true);
    hears(peer, flow(1, TcpState::fin_wait), false);
    hears(peer, {id(3, "192.0.2.101:6446"), TcpState::established, {}}, false);
}

TEST_F(FlowsTest, flows_of_a_former_leader_are_told_until_another_has_reset_them) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    table.local(flow(2), Heard::begun);
    (void)table.take_changes();
    table.lead(0, false);
    table.local_gone(id(1));
    EXPECT_TRUE(table.take_changes().empty()) << "its end left this host in silence";
    EXPECT_THAT(table.own(), UnorderedElementsAre(id(1), id(2))) << "a new peer hears of it too";
    EXPECT_EQ(table.count(FlowTable::self), 1U);
    EXPECT_THAT(foreign(), ElementsAre(1)) << "it is to be reset here, should this node lead again";
    table.taken(peer, {address("192.0.2.100")});
    EXPECT_THAT(table.take_changes().removed, UnorderedElementsAre(id(1), id(2)));
    EXPECT_THAT(table.own(), IsEmpty());
    EXPECT_EQ(table.count(FlowTable::self), 0U);
    EXPECT_THAT(foreign(), IsEmpty());
}

TEST_F(FlowsTest, what_a_dump_misses_after_the_lead_is_lost_too) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    (void)table.take_changes();
    table.lead(0, false);
    table.begin_dump();
    table.end_dump();
    EXPECT_THAT(foreign(), ElementsAre(1));
    table.local(flow(1), Heard::begun);
    EXPECT_EQ(table.count(FlowTable::self), 1U);
    EXPECT_THAT(foreign(), IsEmpty()) << "there it is again";
}

TEST_F(FlowsTest, what_another_has_reset_is_over_until_it_begins_anew) {
    table.local(flow(1), Heard::begun);
    hears(third, flow(2));
    hears(peer, flow(3));
    (void)table.take_changes();
    table.taken(peer, {address("192.0.2.100")});
    (void)table.take_changes();
    EXPECT_THAT(foreign(), ElementsAre(3)) << "its own stay";
    table.local(flow(1, TcpState::fin_wait), Heard::changed);
    table.begin_dump();
    table.local(flow(1, TcpState::fin_wait), Heard::dumped);
    table.end_dump();
    EXPECT_TRUE(table.take_changes().empty());
    EXPECT_EQ(table.count(FlowTable::self), 0U);
    table.local(flow(1), Heard::begun);
    EXPECT_THAT(table.take_changes().added, ElementsAre(flow(1)));
    EXPECT_EQ(table.count(FlowTable::self), 1U);
    table.local_gone(id(1));
    table.taken(peer, {address("192.0.2.100")});
    EXPECT_EQ(table.size(), 1U);
}

TEST_F(FlowsTest, a_leader_does_not_believe_another_that_says_so_too) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    hears(third, flow(2), true);
    table.taken(peer, {address("192.0.2.100")});
    EXPECT_EQ(table.count(FlowTable::self), 1U);
    EXPECT_THAT(foreign(), ElementsAre(2));
}

TEST_F(FlowsTest, many_flows_keep_their_numbers_straight) {
    FlowTable big(two_groups(100'000));
    big.lead(0, true);
    for (std::uint16_t port = 1; port <= 40'000; ++port) {
        if (port % 2 == 0) {
            big.local(flow(port), Heard::begun);
        } else {
            (void)big.add(peer, flow(port));
        }
    }
    EXPECT_EQ(big.count(FlowTable::self), 20'000U);
    EXPECT_EQ(big.count(peer), 20'000U);
    EXPECT_THAT(big.take_changes().added, SizeIs(20'000));
    EXPECT_THAT(big.foreign(0), SizeIs(20'000));
    big.drop_foreign(0);
    EXPECT_EQ(big.size(), 20'000U);
    EXPECT_EQ(big.count(peer), 0U);
}

}  // namespace
}  // namespace hamr::router
