// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/backend_orders.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

// Rule F20 of docs/protocol.md: whoever has heard the same orders has the same records.

namespace hamr::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Endpoint a = *Endpoint::parse("192.0.2.21:3306");
const Endpoint b = *Endpoint::parse("192.0.2.22:3306");
const Endpoint v6 = *Endpoint::parse("[2001:db8::21]:3306");

TEST(BackendOrdersTest, the_last_order_counts_wherever_it_was_given) {
    BackendOrders one("router1");
    BackendOrders two("router2");
    one.give(a, true);
    EXPECT_TRUE(one.draining(a));
    EXPECT_FALSE(one.draining(b));
    EXPECT_EQ(one.find(b), nullptr);
    EXPECT_THAT(two.merge(one.all()), ElementsAre(BackendOrder{a, true, 1, "router1"}));
    EXPECT_TRUE(two.draining(a));
    two.give(a, false);
    EXPECT_THAT(one.merge(two.all()), ElementsAre(BackendOrder{a, false, 2, "router2"}));
    EXPECT_FALSE(one.draining(a));
    EXPECT_THAT(one.merge(two.all()), IsEmpty()) << "that is no news";
}

TEST(BackendOrdersTest, an_order_counts_further_than_all_that_was_heard) {
    BackendOrders orders("router1");
    (void)orders.merge({{b, true, 41, "router2"}});
    EXPECT_EQ(orders.give(a, true).counter, 42U);
}

TEST(BackendOrdersTest, of_equal_counters_the_last_name_counts_then_the_drain) {
    const BackendOrder from_1{a, true, 7, "router1"};
    const BackendOrder from_2{a, false, 7, "router2"};
    EXPECT_TRUE(overrules(from_2, from_1));
    EXPECT_FALSE(overrules(from_1, from_2));
    EXPECT_TRUE(overrules({a, true, 7, "router1"}, {a, false, 7, "router1"}));
    EXPECT_FALSE(overrules(from_1, from_1));
}

TEST(BackendOrdersTest, what_is_not_sound_is_ignored) {
    BackendOrders orders("router1");
    EXPECT_THAT(orders.merge({{a, true, 0, "router1"},
                              {a, true, max_order_counter + 1, "router1"},
                              {a, true, 1, ""},
                              {a, true, 1, "Router 1"},
                              {a, true, 1, std::string(64, 'r')}}),
                IsEmpty());
    EXPECT_EQ(orders.size(), 0U);
}

TEST(BackendOrdersTest, the_counter_has_an_end_and_orders_are_given_there_too) {
    BackendOrders orders("router1");
    (void)orders.merge({{a, false, max_order_counter, "router1"}});
    EXPECT_TRUE(orders.give(a, true).draining);
    EXPECT_TRUE(is_sound(*orders.find(a)));
}

BackendOrder numbered(std::uint64_t number) {
    return {{IpAddress::v4({203, 0, 113, static_cast<std::uint8_t>(number % 256)}),
             static_cast<std::uint16_t>(1 + number / 256)},
            true,
            number,
            "router1"};
}

TEST(BackendOrdersTest, of_too_many_the_oldest_go) {
    BackendOrders orders("router1");
    for (std::uint64_t number = 1; number <= max_backend_orders + 5; ++number) {
        EXPECT_THAT(orders.merge({numbered(number)}), SizeIs(1));
    }
    EXPECT_EQ(orders.size(), max_backend_orders);
    EXPECT_FALSE(orders.draining(numbered(5).backend));
    EXPECT_TRUE(orders.draining(numbered(6).backend));
    EXPECT_THAT(orders.merge({numbered(3)}), IsEmpty()) << "older than all that are known";
    EXPECT_EQ(orders.size(), max_backend_orders);
}

// Convergence -------------------------------------------------------------------------------------

rc::Gen<BackendOrder> any_order(std::uint64_t backends, std::uint64_t counters) {
    return rc::gen::map(
        rc::gen::tuple(rc::gen::inRange<std::uint64_t>(0, backends), rc::gen::arbitrary<bool>(),
                       rc::gen::inRange<std::uint64_t>(1, counters),
                       rc::gen::element<std::string>("router1", "router2", "router3")),
        [](const auto& drawn) {
            const auto& [backend, draining, counter, node] = drawn;
            return BackendOrder{numbered(backend).backend, draining, counter, node};
        });
}

RC_GTEST_PROP(BackendOrdersProperty, any_order_of_messages_gives_the_same_records, ()) {
    const auto orders = *rc::gen::container<std::vector<BackendOrder>>(any_order(5, 6));
    BackendOrders in_order("router1");
    for (const BackendOrder& order : orders) (void)in_order.merge({order});
    auto shuffled = orders;
    for (std::size_t i = shuffled.size(); i > 1; --i) {
        std::swap(shuffled[i - 1], shuffled[*rc::gen::inRange<std::size_t>(0, i)]);
    }
    BackendOrders one_by_one("router2");
    for (const BackendOrder& order : shuffled) (void)one_by_one.merge({order});
    BackendOrders at_once("router3");
    (void)at_once.merge(shuffled);
    (void)at_once.merge(orders);
    RC_ASSERT(in_order.all() == one_by_one.all());
    RC_ASSERT(in_order.all() == at_once.all());
}

/// The same where not all fit: more backends than records, in either direction.
TEST(BackendOrdersTest, any_order_of_messages_gives_the_same_records_when_not_all_fit) {
    std::vector<BackendOrder> orders;
    for (std::uint64_t number = 1; number <= 2 * max_backend_orders; ++number) {
        BackendOrder order = numbered(number);
        order.counter = 1 + number * 7919 % 2500;
        orders.push_back(order);
        order.counter = 1 + number * 104729 % 2500;
        order.draining = false;
        orders.push_back(order);
    }
    BackendOrders forward("router1");
    (void)forward.merge(orders);
    std::reverse(orders.begin(), orders.end());
    BackendOrders backward("router2");
    for (const BackendOrder& order : orders) (void)backward.merge({order});
    EXPECT_EQ(forward.size(), max_backend_orders);
    EXPECT_EQ(forward.all(), backward.all());
}

RC_GTEST_PROP(BackendOrdersProperty, nodes_that_tell_each_other_agree, ()) {
    std::vector<BackendOrders> nodes;
    for (const char* name : {"router1", "router2", "router3"}) nodes.emplace_back(name);
    const auto steps = *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0U, 36U));
    for (const unsigned step : steps) {
        BackendOrders& node = nodes[step % 3];
        if (step < 18) {
            node.give(numbered(1 + step / 3 % 3).backend, step % 2 == 0);
        } else {
            (void)node.merge(nodes[step / 3 % 3].all());
        }
    }
    for (const BackendOrders& from : {nodes[0], nodes[1], nodes[2]}) {
        for (BackendOrders& to : nodes) (void)to.merge(from.all());
    }
    for (const BackendOrders& from : {nodes[0], nodes[1], nodes[2]}) {
        for (BackendOrders& to : nodes) (void)to.merge(from.all());
    }
    RC_ASSERT(nodes[0].all() == nodes[1].all());
    RC_ASSERT(nodes[0].all() == nodes[2].all());
}

// As a file ---------------------------------------------------------------------------------------

RC_GTEST_PROP(BackendOrdersProperty, a_file_says_what_was_written, ()) {
    BackendOrders orders("router1");
    (void)orders.merge(*rc::gen::container<std::vector<BackendOrder>>(any_order(300, 99'999)));
    (void)orders.merge({{v6, true, 3, "r-2.x_y"}});
    const OrdersRead read = parse_orders(render_orders(orders.all()));
    RC_ASSERT(read.problem.empty());
    RC_ASSERT(read.orders == orders.all());
}

TEST(BackendOrdersTest, a_file_is_made_for_people_too) {
    EXPECT_EQ(render_orders({{a, true, 3, "router1"}, {v6, false, 4, "router2"}}),
              "hamr-backends 1\n"
              "192.0.2.21:3306 drain 3 router1\n"
              "[2001:db8::21]:3306 undrain 4 router2\n"
              "end 2\n");
    EXPECT_THAT(parse_orders(render_orders({})).problem, IsEmpty());
}

TEST(BackendOrdersTest, what_can_be_understood_of_a_damaged_file_counts) {
    const std::string good = render_orders({{a, true, 3, "router1"}, {b, true, 4, "router2"}});
    struct Row {
        const char* name;
        std::string text;
        const char* problem;
        std::size_t left;
    };
    const Row rows[] = {
        {"empty", "", "its end is missing", 0},
        {"zeros", std::string(64, '\0'), "line 1 is not \"hamr-backends 1\"", 0},
        {"cut short", good.substr(0, good.size() - 20), "line 3 is not understood", 1},
        {"no end", good.substr(0, good.size() - 6), "its end is missing", 2},
        {"a line lost", "hamr-backends 1\n192.0.2.21:3306 drain 3 router1\nend 2\n",
         "line 3 is not understood", 1},
        {"another word", "hamr-backends 1\n192.0.2.21:3306 stop 3 router1\nend 0\n",
         "line 2 is not understood", 0},
        {"counter 0", "hamr-backends 1\n192.0.2.21:3306 drain 0 router1\nend 0\n",
         "line 2 is not understood", 0},
        {"no node", "hamr-backends 1\n192.0.2.21:3306 drain 3\nend 0\n", "line 2 is not understood",
         0},
        {"more words", "hamr-backends 1\n192.0.2.21:3306 drain 3 router1 x\nend 0\n",
         "line 2 is not understood", 0},
        {"more after the end", good + "192.0.2.23:3306 drain 3 router1\n",
         "line 4 is not understood", 3},
    };
    for (const Row& row : rows) {
        const OrdersRead read = parse_orders(row.text);
        EXPECT_THAT(read.problem, HasSubstr(row.problem)) << row.name;
        EXPECT_EQ(read.orders.size(), row.left) << row.name;
    }
}

// As a person names one ---------------------------------------------------------------------------

TEST(BackendOrdersTest, a_backend_is_named_with_its_port_or_alone) {
    const Endpoint second = *Endpoint::parse("192.0.2.22:3307");
    const std::vector<Endpoint> known{a, b, second, v6};
    EXPECT_THAT(named_backends("192.0.2.21:3306", known), ElementsAre(a));
    EXPECT_THAT(named_backends("192.0.2.21", known), ElementsAre(a));
    EXPECT_THAT(named_backends("192.0.2.22", known), ElementsAre(b, second));
    EXPECT_THAT(named_backends("192.0.2.22:3307", known), ElementsAre(second));
    EXPECT_THAT(named_backends("2001:db8::21", known), ElementsAre(v6));
    EXPECT_THAT(named_backends("[2001:db8::21]", known), ElementsAre(v6));
    EXPECT_THAT(named_backends("[2001:DB8:0::21]:3306", known), ElementsAre(v6));
    for (const char* nobody : {"", "192.0.2.23", "192.0.2.21:3307", "db1", "[]", "0.0.0.0:0"}) {
        EXPECT_THAT(named_backends(nobody, known), IsEmpty()) << nobody;
    }
}

}  // namespace
}  // namespace hamr::router
