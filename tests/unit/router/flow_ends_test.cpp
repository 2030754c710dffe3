// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flow_ends.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

// Which flows must end because of their backend (docs/protocol.md, F21 to F23).

namespace hamr::router {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr std::size_t all = 1000;
constexpr std::uint16_t rw = 6446;
constexpr std::uint16_t ro = 6447;
const std::vector<IpAddress> first{*IpAddress::parse("192.0.2.100")};
const std::vector<IpAddress> second{*IpAddress::parse("192.0.2.101")};
const Endpoint a = *Endpoint::parse("192.0.2.21:3306");
const Endpoint b = *Endpoint::parse("192.0.2.22:3306");

BootTime at(int ms) {
    return BootTime{std::chrono::milliseconds(ms)};
}

FlowId id(std::uint16_t client, std::uint16_t port = rw, const IpAddress& vip = first[0]) {
    return {{*IpAddress::parse("192.0.2.50"), client}, {vip, port}};
}

Flow flow(const FlowId& id, const Endpoint& backend, TcpState state = TcpState::established) {
    return {id, state, Translation{backend, {id.vip.address, id.client.port}}};
}

Standing good(std::uint16_t port, const Endpoint& backend) {
    return {port, backend, true, long_ago, {}};
}
Standing bad(std::uint16_t port, const Endpoint& backend, int begun_ms) {
    return {port, backend, false, at(begun_ms), "down"};
}

struct FlowEndsTest : testing::Test {
    FlowEndsTest() : table(config()), ends(table, config().groups) { lead(0, 100); }

    static FlowTable::Config config() {
        FlowTable::Config made;
        made.groups = {first, second};
        made.nodes = 2;
        made.replicas = true;
        return made;
    }
    void lead(std::size_t group, int ms) {
        table.lead(group, true);
        ends.lead(group, at(ms));
    }
    void begins(const Flow& of) {
        table.local(of, Heard::changed);
        ends.look(of);
    }
    void judge(const std::vector<Standing>& standings) {
        if (!ends.judge(standings)) return;
        table.visit_own([&](const Flow& of) { ends.look(of); });
    }
    std::vector<std::uint16_t> taken(std::size_t most = all) {
        std::vector<std::uint16_t> ports;
        newest = ends.take(most);
        for (const Ending& ending : newest) ports.push_back(ending.flow.id.client.port);
        return ports;
    }
    const std::vector<Standing> well{good(rw, a), good(rw, b), good(ro, a), good(ro, b)};

    FlowTable table;
    FlowEnds ends;
    std::vector<Ending> newest;
};

TEST_F(FlowEndsTest, nothing_ends_before_anything_is_known) {
    begins(flow(id(1), a));
    EXPECT_THAT(taken(), IsEmpty());
    judge(well);
    EXPECT_THAT(taken(), IsEmpty());
}

TEST_F(FlowEndsTest, F21_the_flows_of_one_route_and_backend_end_and_no_others) {
    judge(well);
    begins(flow(id(1), a));
    begins(flow(id(2), b));
    begins(flow(id(3, ro), a));
    judge({bad(rw, a, 200), good(rw, b), good(ro, a), good(ro, b)});
    EXPECT_THAT(taken(), ElementsAre(1));
    EXPECT_EQ(newest[0].why, "down");
    EXPECT_EQ(newest[0].group, 0U);
    EXPECT_EQ(newest[0].flow, flow(id(1), a));
    EXPECT_THAT(taken(), IsEmpty()) << "once";
}

TEST_F(FlowEndsTest, F21_a_pair_that_is_not_configured_ends_at_once) {
    begins(flow(id(1), a));
    begins(flow(id(2), b));
    begins(flow(id(3, 7000), a));
    judge({good(rw, a)});
    EXPECT_THAT(taken(), UnorderedElementsAre(2, 3));
    EXPECT_EQ(newest[0].why, "not configured");
}

TEST_F(FlowEndsTest, F21_what_others_have_translated_is_theirs) {
    judge(well);
    begins({id(1, 7000), TcpState::established, {}});
    Flow elsewhere = flow(id(2, 80), b);
    elsewhere.translation->source = elsewhere.id.client;
    begins(elsewhere);
    EXPECT_THAT(taken(), IsEmpty());
}

TEST_F(FlowEndsTest, F22_a_flow_that_begins_late_ends_too) {
    judge({bad(rw, a, 200), good(rw, b)});
    begins(flow(id(1), a, TcpState::syn_recv));
    EXPECT_THAT(taken(), IsEmpty()) << "there is nothing to be reset yet";
    begins(flow(id(1), a));
    EXPECT_THAT(taken(), ElementsAre(1));
    begins(flow(id(1), a, TcpState::fin_wait));
    EXPECT_THAT(taken(), IsEmpty()) << "it is being reset";
}

TEST_F(FlowEndsTest, F22_a_client_whose_first_packet_went_there_may_try_again) {
    judge({bad(rw, a, 200), good(rw, b)});
    EXPECT_TRUE(ends.look(flow(id(1), a, TcpState::syn_sent)));
    EXPECT_FALSE(ends.look(flow(id(2), b, TcpState::syn_sent)));
    EXPECT_THAT(taken(), IsEmpty()) << "there is nobody to be reset";
    EXPECT_THAT(ends.take_openings(all), ElementsAre(id(1)));
    EXPECT_THAT(ends.take_openings(all), IsEmpty());
}

TEST_F(FlowEndsTest, F22_a_dump_finds_them) {
    judge({good(rw, a)});
    table.begin_dump();
    for (const Flow& of : {flow(id(1), a), flow(id(2), b)}) {
        table.local(of, Heard::dumped);
        ends.look(of);
    }
    table.end_dump();
    EXPECT_THAT(taken(), ElementsAre(2));
}

TEST_F(FlowEndsTest, F22_what_outlives_its_reset_follows_again) {
    judge({bad(rw, a, 200)});
    begins(flow(id(1), a));
    begins(flow(id(2), a));
    EXPECT_THAT(taken(), ElementsAre(1, 2));
    EXPECT_TRUE(ends.is_there(newest[0]));
    table.local_gone(id(1));
    EXPECT_FALSE(ends.is_there(newest[0]));
    ends.over(newest, true);
    EXPECT_THAT(taken(), ElementsAre(2));
    EXPECT_TRUE(newest[0].again);
    ends.over(newest, false);
    EXPECT_THAT(taken(), ElementsAre(2));
    EXPECT_TRUE(newest[0].again) << "it still does";
}

TEST_F(FlowEndsTest, F22_what_could_not_be_reset_follows_as_before) {
    judge({bad(rw, a, 200)});
    begins(flow(id(1), a));
    EXPECT_THAT(taken(), ElementsAre(1));
    ends.over(newest, false);
    EXPECT_THAT(taken(), ElementsAre(1));
    EXPECT_FALSE(newest[0].again);
}

TEST_F(FlowEndsTest, a_port_that_is_used_again_is_another_flow) {
    judge({bad(rw, a, 200), good(rw, b)});
    begins(flow(id(1), a));
    EXPECT_THAT(taken(), ElementsAre(1));
    table.local_gone(id(1));
    begins(flow(id(1), b));
    EXPECT_FALSE(ends.is_there(newest[0]));
    ends.over(newest, true);
    EXPECT_THAT(taken(), IsEmpty());
}

TEST_F(FlowEndsTest, a_backend_that_is_back_in_time_keeps_what_is_left) {
    begins(flow(id(1), a));
    begins(flow(id(2), a));
    judge({bad(rw, a, 200)});
    EXPECT_THAT(taken(1), SizeIs(1));
    judge({good(rw, a)});
    EXPECT_THAT(taken(), IsEmpty());
    judge({bad(rw, a, 300)});
    EXPECT_THAT(taken(), SizeIs(1)) << "and is judged anew";
}

TEST_F(FlowEndsTest, F23_what_was_seen_before_the_lead_ends_nothing) {
    begins(flow(id(1), a));
    judge({bad(rw, a, 99)});
    EXPECT_THAT(taken(), IsEmpty());
    judge({bad(rw, a, 100)});
    EXPECT_THAT(taken(), ElementsAre(1));
}

TEST_F(FlowEndsTest, F23_a_lead_lost_and_won_begins_anew) {
    judge({bad(rw, a, 150)});
    table.lead(0, false);
    ends.lead(0, {});
    lead(0, 200);
    begins(flow(id(1), a));
    judge({bad(rw, a, 150)});
    EXPECT_THAT(taken(), IsEmpty());
    judge({bad(rw, a, 250)});
    EXPECT_THAT(taken(), ElementsAre(1));
}

TEST_F(FlowEndsTest, F23_each_group_has_its_leader) {
    judge({bad(rw, a, 150)});
    begins(flow(id(1), a));
    begins(flow(id(2, rw, second[0]), a));
    EXPECT_THAT(taken(), ElementsAre(1)) << "another node leads the second";
    lead(1, 200);
    begins(flow(id(2, rw, second[0]), a));
    EXPECT_THAT(taken(), IsEmpty());
    judge({bad(rw, a, 250)});
    EXPECT_THAT(taken(), ElementsAre(2));
    EXPECT_EQ(newest[0].group, 1U);
}

TEST_F(FlowEndsTest, flows_of_a_lead_that_is_lost_are_not_handed_out) {
    begins(flow(id(1), a));
    judge({bad(rw, a, 200)});
    table.lead(0, false);
    ends.lead(0, {});
    EXPECT_THAT(taken(), IsEmpty());
}

/// Whatever happens in whatever order: in the end those are being reset that must be, each once.
RC_GTEST_PROP(FlowEndsProperty, who_must_end_is_handed_out_and_nobody_else, ()) {
    FlowTable table(FlowEndsTest::config());
    FlowEnds ends(table, FlowEndsTest::config().groups);
    std::map<std::pair<std::uint16_t, Endpoint>, Standing> standings;
    std::map<FlowId, Flow> kernel;
    std::set<FlowId> out;
    std::vector<Ending> under_way;
    int now = 0;
    std::optional<int> led_since;
    bool judged = false;
    const auto must_end = [&](const Flow& of) {
        if (!judged || !led_since) return false;
        const auto found = standings.find({of.id.vip.port, of.translation->backend});
        if (found == standings.end()) return true;
        return !found->second.goes_on && found->second.begun_at >= at(*led_since);
    };
    const auto take = [&](std::size_t most) {
        for (Ending& ending : ends.take(most)) {
            RC_ASSERT(kernel.contains(ending.flow.id));
            RC_ASSERT(must_end(kernel.at(ending.flow.id)));
            RC_ASSERT(out.insert(ending.flow.id).second);
            under_way.push_back(std::move(ending));
        }
    };
    for (int step = 0; step < 60; ++step) {
        ++now;
        const auto port = *rc::gen::element(rw, ro);
        const Endpoint backend = *rc::gen::element(a, b);
        const FlowId one = id(static_cast<std::uint16_t>(*rc::gen::inRange(1, 6)), port);
        switch (*rc::gen::inRange(0, 7)) {
            case 0:
            case 1:
                if (!led_since || kernel.contains(one)) break;
                kernel.emplace(one, flow(one, backend));
                table.local(kernel.at(one), Heard::begun);
                ends.look(kernel.at(one));
                break;
            case 2:
                if (!led_since || kernel.erase(one) == 0) break;
                table.local_gone(one);
                break;
            case 3: {
                const Standing standing{port, backend, *rc::gen::arbitrary<bool>(),
                                        at(now - *rc::gen::inRange(0, 3)), "down"};
                standings[{port, backend}] = standing;
                if (*rc::gen::inRange(0, 5) == 0) standings.erase({port, backend});
                std::vector<Standing> said;
                for (const auto& [pair, known] : standings) said.push_back(known);
                judged = true;
                if (ends.judge(said)) table.visit_own([&](const Flow& of) { ends.look(of); });
                break;
            }
            case 4: {
                const bool leads = *rc::gen::inRange(0, 4) > 0;
                if (leads == led_since.has_value()) break;
                led_since = leads ? std::optional(now) : std::nullopt;
                table.lead(0, leads);
                ends.lead(0, leads ? std::optional(at(now)) : std::nullopt);
                if (leads) table.visit_own([&](const Flow& of) { ends.look(of); });
                break;
            }
            case 5:
                take(static_cast<std::size_t>(*rc::gen::inRange(1, 3)));
                break;
            default:
                ends.over(under_way, true);
                under_way.clear();
                out.clear();
        }
    }
    take(all);
    for (const auto& [name, of] : kernel) {
        if (must_end(of)) RC_ASSERT(out.contains(name));
    }
}

}  // namespace
}  // namespace hamr::router
