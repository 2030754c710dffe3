// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flows.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// The table of flows of an embedded router: what is to be in this host's kernel, and whose it is.

namespace hamr::router {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t peer = 1;
constexpr std::size_t third = 2;
constexpr std::size_t all = 1000;

const std::vector<IpAddress> vips{*IpAddress::parse("192.0.2.100")};

FlowId id(std::uint16_t client_port) {
    return {{*IpAddress::parse("192.0.2.50"), client_port}, {vips[0], 6446}};
}

/// Through port `source` of the VIP.
Flow flow(std::uint16_t client_port, std::uint16_t source = 0,
          TcpState state = TcpState::established) {
    Translation way{*Endpoint::parse("192.0.2.21:3306"),
                    {vips[0], source != 0 ? source : client_port}};
    way.scale = {7, 7};
    return {id(client_port), state, way};
}

struct ReplicasTest : testing::Test {
    ReplicasTest() : table(config()) {}

    static FlowTable::Config config() {
        FlowTable::Config made;
        made.groups = {vips, {*IpAddress::parse("192.0.2.101")}};
        made.nodes = 3;
        made.replicas = true;
        return made;
    }
    void hears(std::size_t node, const Flow& of) { EXPECT_FALSE(table.add(node, of)); }
    std::vector<KernelWork> work() { return table.take_kernel_work(all); }
    void dump(const std::vector<Flow>& kernel) {
        table.begin_dump();
        for (const Flow& of : kernel) table.local(of, Heard::dumped);
        table.end_dump();
    }
    std::size_t own() const { return table.count(FlowTable::self); }

    FlowTable table;
};

TEST_F(ReplicasTest, a_flow_of_the_leader_goes_into_the_kernel_changes_there_and_leaves_it) {
    hears(peer, flow(1));
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), flow(1)}));
    hears(peer, flow(1));
    EXPECT_THAT(work(), IsEmpty()) << "nothing new";
    const Flow ending = flow(1, 0, TcpState::fin_wait);
    hears(peer, ending);
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), ending, true}));
    table.remove(peer, id(1));
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1)}));
    EXPECT_EQ(table.size(), 0U);
}

TEST_F(ReplicasTest, flows_are_counted_by_their_backend_wherever_they_are) {
    Flow other = flow(3);
    other.translation->backend = *Endpoint::parse("192.0.2.22:3306");
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    table.local(other, Heard::begun);
    table.local({id(4), TcpState::established, {}}, Heard::begun);
    Flow elsewhere = flow(2);
    elsewhere.id.vip.address = *IpAddress::parse("192.0.2.101");
    hears(peer, elsewhere);
    EXPECT_THAT(table.by_backend(),
                ElementsAre(testing::Pair(*Endpoint::parse("192.0.2.21:3306"), 2),
                            testing::Pair(*Endpoint::parse("192.0.2.22:3306"), 1)));
    table.local_gone(other.id);
    EXPECT_THAT(table.by_backend(), SizeIs(1));
}

TEST_F(ReplicasTest, other_ways_are_another_entry) {
    hears(peer, flow(1));
    (void)work();
    hears(peer, flow(1, 777));
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), flow(1, 777), false}));
}

TEST_F(ReplicasTest, what_came_and_went_before_the_kernel_was_told_is_deleted_at_most) {
    hears(peer, flow(1));
    table.remove(peer, id(1));
    for (const KernelWork& one : work()) EXPECT_FALSE(one.flow);
}

TEST_F(ReplicasTest, work_is_handed_out_in_pieces) {
    for (std::uint16_t port = 1; port <= 10; ++port) hears(peer, flow(port));
    EXPECT_THAT(table.take_kernel_work(4), SizeIs(4));
    EXPECT_EQ(table.kernel_work(), 6U);
    EXPECT_THAT(work(), SizeIs(6));
}

TEST_F(ReplicasTest, events_of_entries_that_a_follower_made_are_not_its_own_flows) {
    hears(peer, flow(1));
    (void)work();
    table.local(flow(1), Heard::begun);
    table.local(flow(2), Heard::begun);
    EXPECT_EQ(own(), 0U);
    table.local_gone(id(1));
    EXPECT_EQ(table.installed(), 1U);
    EXPECT_TRUE(table.take_changes().empty());
}

TEST_F(ReplicasTest, a_new_leader_owns_all_it_knows_at_once_and_a_dump_confirms_it) {
    hears(peer, flow(1));
    hears(peer, flow(2));
    (void)work();
    hears(peer, flow(3));  // not in the kernel yet
    table.lead(0, true);
    EXPECT_EQ(own(), 3U);
    EXPECT_THAT(table.foreign(0), IsEmpty()) << "nobody is to be reset";
    dump({flow(1)});
    EXPECT_EQ(own(), 2U) << "what the kernel does not have, and was told of, is gone";
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(3), flow(3), false, true}));
}

TEST_F(ReplicasTest, a_new_leader_that_was_just_started_learns_its_flows_from_its_kernel) {
    dump({flow(1), flow(2)});
    EXPECT_EQ(own(), 0U);
    EXPECT_THAT(work(), IsEmpty()) << "nobody has said that these are stale";
    table.lead(0, true);
    dump({flow(1), flow(2)});
    EXPECT_EQ(own(), 2U);
}

TEST_F(ReplicasTest, clients_of_flows_that_cannot_live_on_are_to_be_reset) {
    hears(peer, flow(1));
    hears(peer, flow(2));
    (void)work();
    table.not_installed(id(2));
    EXPECT_FALSE(table.add(peer, {id(3), TcpState::established, {}})) << "not led: later";
    table.lead(0, true);
    auto foreign = table.foreign(0);
    std::sort(foreign.begin(), foreign.end());
    EXPECT_THAT(foreign, ElementsAre(id(2), id(3)));
    EXPECT_EQ(own(), 1U);
}

TEST_F(ReplicasTest, last_words_of_a_former_leader_are_taken_in_by_the_new_one) {
    table.lead(0, true);
    hears(peer, flow(1));
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), flow(1), false, true}));
    EXPECT_EQ(own(), 1U);
    EXPECT_THAT(table.take_changes().added, ElementsAre(flow(1)));
    table.not_installed(id(1));
    EXPECT_THAT(table.take_changes().removed, ElementsAre(id(1)));
    EXPECT_THAT(table.foreign(0), ElementsAre(id(1)));
}

TEST_F(ReplicasTest, a_former_leader_keeps_its_entries_until_the_new_one_has_named_all_of_its) {
    table.lead(0, true);
    for (std::uint16_t port = 1; port <= 3; ++port) table.local(flow(port), Heard::begun);
    (void)table.take_changes();
    table.lead(0, false);
    EXPECT_EQ(own(), 0U);
    EXPECT_THAT(table.own(), IsEmpty()) << "it tells them no more";
    table.begin(peer);
    hears(peer, flow(1));
    hears(peer, flow(2, 0, TcpState::fin_wait));
    table.end(peer);
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(2), flow(2, 0, TcpState::fin_wait), true}));
    table.taken(peer, vips);
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(3)}));
    EXPECT_TRUE(table.take_changes().empty());
}

TEST_F(ReplicasTest, what_nobody_named_is_found_by_a_dump_and_goes) {
    hears(peer, flow(1));
    (void)work();
    table.taken(peer, vips);
    dump({flow(1), flow(2)});
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(2)}));
    dump({flow(1, 777)});
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), flow(1), false})) << "with other ways";
}

TEST_F(ReplicasTest, a_snapshot_of_somebody_who_does_not_say_that_he_leads_takes_nothing_away) {
    hears(peer, flow(1));
    (void)work();
    table.begin(peer);
    table.end(peer);
    EXPECT_THAT(work(), IsEmpty());
    EXPECT_EQ(table.installed(), 1U);
    table.taken(peer, vips);
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1)})) << "now he does";
}

TEST_F(ReplicasTest, another_leader_takes_over_the_same_flows_without_a_word_to_the_kernel) {
    hears(peer, flow(1));
    (void)work();
    table.begin(third);
    hears(third, flow(1));
    table.end(third);
    table.taken(third, vips);
    EXPECT_THAT(work(), IsEmpty());
    table.remove(peer, id(1));
    EXPECT_EQ(table.installed(), 1U) << "it is not his any more";
}

TEST_F(ReplicasTest, a_leader_does_not_believe_another_one) {
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    (void)table.take_changes();
    table.taken(peer, vips);
    table.remove(peer, id(1));
    hears(peer, flow(1, 777));
    EXPECT_EQ(table.own(id(1)), flow(1));
    EXPECT_THAT(work(), IsEmpty());
}

TEST_F(ReplicasTest, groups_are_apart) {
    hears(peer, flow(1));
    (void)work();
    table.lead(1, true);
    EXPECT_EQ(own(), 0U);
    table.taken(peer, {*IpAddress::parse("192.0.2.101")});
    EXPECT_EQ(table.installed(), 1U);
}

TEST_F(ReplicasTest, a_forgotten_peer_leaves_nothing_in_the_kernel) {
    hears(peer, flow(1));
    (void)work();
    table.forget(peer);
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1)}));
}

TEST_F(ReplicasTest, time_outs_are_renewed) {
    hears(peer, flow(1));
    (void)work();
    table.refresh_replicas();
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), flow(1), true}));
}

// A full kernel ----------------------------------------------------------------------------------

TEST_F(ReplicasTest, what_a_full_kernel_refused_is_told_again_when_there_is_room) {
    for (std::uint16_t port = 1; port <= 3; ++port) hears(peer, flow(port));
    (void)work();
    for (std::uint16_t port = 1; port <= 3; ++port) table.not_installed(id(port), true);
    EXPECT_EQ(table.waiting(), 3U);
    EXPECT_EQ(table.installed(), 0U);
    EXPECT_THAT(work(), IsEmpty()) << "not by itself";
    table.retry_refused(2);
    EXPECT_THAT(work(), SizeIs(2));
    EXPECT_EQ(table.waiting(), 1U);
    table.retry_refused(2);
    EXPECT_THAT(work(), SizeIs(1));
    EXPECT_EQ(table.waiting(), 0U);
    EXPECT_EQ(table.installed(), 3U);
}

TEST_F(ReplicasTest, what_waits_and_ends_is_forgotten) {
    hears(peer, flow(1));
    hears(peer, flow(2));
    (void)work();
    table.not_installed(id(1), true);
    table.not_installed(id(2), true);
    table.remove(peer, id(1));
    EXPECT_EQ(table.waiting(), 1U);
    table.forget(peer);
    EXPECT_EQ(table.waiting(), 0U);
    EXPECT_THAT(work(), IsEmpty()) << "the kernel has nothing to delete";
}

TEST_F(ReplicasTest, a_client_whose_flow_waits_is_reset_at_a_takeover_and_others_live_on) {
    hears(peer, flow(1));
    hears(peer, flow(2));
    (void)work();
    table.not_installed(id(1), true);
    table.lead(0, true);
    EXPECT_THAT(table.foreign(0), ElementsAre(id(1)));
    EXPECT_EQ(own(), 1U);
    table.retry_refused(all);
    EXPECT_THAT(work(), IsEmpty()) << "its client is being reset";
    EXPECT_EQ(table.waiting(), 0U);
    EXPECT_THAT(table.foreign(0), ElementsAre(id(1)));
}

TEST_F(ReplicasTest, what_waits_is_told_when_it_changes_too_and_may_wait_again) {
    hears(peer, flow(1));
    (void)work();
    table.not_installed(id(1), true);
    const Flow ending = flow(1, 0, TcpState::fin_wait);
    hears(peer, ending);
    EXPECT_THAT(work(), ElementsAre(KernelWork{id(1), ending, false}));
    EXPECT_EQ(table.waiting(), 0U);
    table.not_installed(id(1), true);
    table.not_installed(id(1), true);
    EXPECT_EQ(table.waiting(), 1U);
}

TEST_F(ReplicasTest, a_flow_that_waits_and_begins_here_is_this_nodes_own) {
    hears(peer, flow(1));
    (void)work();
    table.not_installed(id(1), true);
    table.lead(0, true);
    table.local(flow(1), Heard::begun);
    EXPECT_EQ(table.waiting(), 0U);
    EXPECT_EQ(own(), 1U);
    EXPECT_THAT(table.foreign(0), IsEmpty());
}

}  // namespace
}  // namespace hamr::router
