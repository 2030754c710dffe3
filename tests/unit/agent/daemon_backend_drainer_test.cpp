// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/backend_drainer.hpp"
#include "agent/daemon/files.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

// One node with its peers made up: rules that stand when the test says so.

namespace hamr::daemon {
namespace {

using control::BackendAnswer;
using control::Outcome;
using router::BackendOrder;
using router_io::OrdersHeard;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Endpoint a = *Endpoint::parse("192.0.2.21:3306");
const Endpoint b = *Endpoint::parse("192.0.2.22:3306");
const Endpoint b2 = *Endpoint::parse("192.0.2.22:3307");

class BackendDrainerTest : public testing::Test {
  protected:
    BackendDrainerTest() { begin(); }

    void begin() {
        drainer.emplace(io, file, "router1", std::vector<Endpoint>{a, b, b2}, hands());
        drainer->start();
    }

    BackendDrainer::Hands hands() {
        BackendDrainer::Hands hands;
        hands.apply = [this](const std::set<Endpoint>& now) { draining = now; };
        hands.settled = [this] { return stands; };
        hands.tell = [this](const std::vector<BackendOrder>& orders, bool standing) {
            told.emplace_back(orders, standing);
        };
        hands.peers = [this] { return peers; };
        hands.flows = [this](const Endpoint&) { return flows; };
        hands.drained_routes = [this] { return lost_routes; };
        hands.log = [this](const std::string& what) { logged.push_back(what); };
        hands.trouble = [this](const std::string& what, const std::string&) { trouble = what; };
        return hands;
    }

    void peer(const std::string& name, bool connected = true,
              OrdersHeard orders = OrdersHeard::yes) {
        router_io::FlowPeerStatus& status = peers.emplace_back();
        status.name = name;
        status.connected = connected;
        status.orders = orders;
    }

    void order(const std::string& address, bool drains = true) {
        answer.reset();
        drainer->order({drains, address}, [this](const BackendAnswer& given) { answer = given; });
    }

    void rules_stand() {
        stands = true;
        drainer->settled();
    }

    bool answered(Duration within = std::chrono::seconds{5}) {
        const BootTime end = BootClock::now() + within;
        while (!answer && BootClock::now() < end) {
            io.restart();
            io.run_for(std::chrono::milliseconds{10});
        }
        return answer.has_value();
    }

    std::string file_text() const {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }

    boost::asio::io_context io;
    test::TempDir dir;
    std::string file = backends_file(dir.path("state"), "shop", "router1");
    bool stands = true;
    std::uint64_t flows = 0;
    std::vector<router_io::FlowPeerStatus> peers;
    std::vector<std::string> lost_routes;
    std::set<Endpoint> draining;
    std::vector<std::pair<std::vector<BackendOrder>, bool>> told;
    std::vector<std::string> logged;
    std::string trouble;
    std::optional<BackendAnswer> answer;
    std::optional<BackendDrainer> drainer;
};

TEST_F(BackendDrainerTest, alone_it_is_done_once_the_rules_stand) {
    stands = false;
    flows = 12;
    order("192.0.2.21:3306");
    EXPECT_THAT(draining, ElementsAre(a));
    EXPECT_FALSE(answer);
    rules_stand();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->outcome, Outcome::done);
    EXPECT_EQ(answer->message,
              "192.0.2.21:3306 is draining: nothing new is given to it, 12 connections go through "
              "it now");
    EXPECT_EQ(answer->address, "192.0.2.21:3306");
    EXPECT_THAT(answer->notes, IsEmpty());
    EXPECT_THAT(logged, ElementsAre("backend 192.0.2.21:3306 is drained, as ordered here"));
    order("192.0.2.21", false);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->message, "192.0.2.21:3306 is used again");
    EXPECT_THAT(draining, IsEmpty());
}

TEST_F(BackendDrainerTest, peers_are_told_at_once_and_again_when_the_rules_stand) {
    told.clear();
    stands = false;
    order("192.0.2.21:3306");
    const std::vector<BackendOrder> orders{{a, true, 1, "router1"}};
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0], (std::pair{orders, false}));
    rules_stand();
    drainer->settled();
    ASSERT_EQ(told.size(), 2U) << "once";
    EXPECT_EQ(told[1], (std::pair{orders, true}));
}

TEST_F(BackendDrainerTest, the_answer_waits_for_connected_peers_and_names_the_others) {
    peer("router2");
    peer("router3", false, OrdersHeard::not_known);
    peer("router4", true, OrdersHeard::no);
    order("192.0.2.21:3306");
    EXPECT_FALSE(answer);
    drainer->heard("router2", {{a, true, 1, "router1"}}, false);
    EXPECT_FALSE(answer) << "it has heard, but its rules do not stand yet";
    drainer->heard("router2", {{a, true, 1, "router1"}}, true);
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->confirmed, ElementsAre("router2"));
    EXPECT_THAT(answer->notes,
                ElementsAre("router3 is not connected: it will hear of it when it is back",
                            HasSubstr("router4 has an older version")));
    order("192.0.2.21:3306");
    ASSERT_TRUE(answer) << "who follows is known";
    EXPECT_EQ(answer->message,
              "192.0.2.21:3306 was draining already, no connection goes through it now");
    EXPECT_THAT(answer->confirmed, ElementsAre("router2"));
}

TEST_F(BackendDrainerTest, a_peer_that_does_not_confirm_is_named_after_two_seconds) {
    peer("router2");
    const BootTime begun = BootClock::now();
    order("192.0.2.21:3306");
    ASSERT_TRUE(answered());
    EXPECT_GE(BootClock::now() - begun, BackendDrainer::longest_wait);
    EXPECT_EQ(answer->outcome, Outcome::done);
    EXPECT_THAT(answer->notes, ElementsAre(HasSubstr("router2 has not said within 2 s")));
}

TEST_F(BackendDrainerTest, rules_that_do_not_stand_are_a_failure_and_the_order_is_kept) {
    stands = false;
    order("192.0.2.21:3306");
    ASSERT_TRUE(answered());
    EXPECT_EQ(answer->outcome, Outcome::failed);
    EXPECT_THAT(answer->message, HasSubstr("the order is kept"));
    EXPECT_THAT(file_text(), HasSubstr("192.0.2.21:3306 drain 1 router1\n"));
}

TEST_F(BackendDrainerTest, an_unknown_address_is_refused_with_the_known_ones) {
    order("192.0.2.29:3306");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->outcome, Outcome::unknown);
    EXPECT_EQ(answer->message,
              "unknown backend \"192.0.2.29:3306\"; backends of this cluster are: "
              "192.0.2.21:3306, 192.0.2.22:3306, 192.0.2.22:3307");
    order("192.0.2.22");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->message, "192.0.2.22 has several backends: 192.0.2.22:3306, 192.0.2.22:3307");
    EXPECT_THAT(draining, IsEmpty());
}

TEST_F(BackendDrainerTest, a_route_that_leads_nowhere_is_told) {
    lost_routes = {"rw"};
    order("192.0.2.21:3306");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->outcome, Outcome::done);
    EXPECT_THAT(answer->notes,
                ElementsAre("route rw leads nowhere now, new connections to it are reset: `hamr "
                            "backend undrain 192.0.2.21:3306`, or give its role to another "
                            "server"));
}

TEST_F(BackendDrainerTest, an_order_of_a_peer_is_followed_kept_and_confirmed) {
    told.clear();
    stands = false;
    drainer->heard("router2", {{b, true, 5, "router2"}}, false);
    EXPECT_THAT(draining, ElementsAre(b));
    EXPECT_THAT(file_text(), HasSubstr("192.0.2.22:3306 drain 5 router2\n"));
    EXPECT_THAT(logged, ElementsAre("backend 192.0.2.22:3306 is drained, as ordered on router2"));
    rules_stand();
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[1], (std::pair{std::vector<BackendOrder>{{b, true, 5, "router2"}}, true}));
    told.clear();
    drainer->heard("router3", {{b, true, 5, "router2"}}, true);
    EXPECT_THAT(told, IsEmpty()) << "that is no news";
}

TEST_F(BackendDrainerTest, an_order_that_another_takes_the_place_of_is_refused) {
    peer("router2");
    order("192.0.2.21:3306");
    drainer->heard("router2", {{a, false, 2, "router2"}}, false);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->outcome, Outcome::refused);
    EXPECT_EQ(answer->message,
              "another order, given on router2, has taken over: 192.0.2.21:3306 is used again");
}

TEST_F(BackendDrainerTest, the_file_outlives_the_agent) {
    order("192.0.2.21:3306");
    draining.clear();
    logged.clear();
    told.clear();
    begin();
    EXPECT_THAT(draining, ElementsAre(a));
    EXPECT_THAT(logged, ElementsAre("backend 192.0.2.21:3306 is drained since before this start"));
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(told.back(), (std::pair{std::vector<BackendOrder>{{a, true, 1, "router1"}}, true}));
    EXPECT_THAT(trouble, IsEmpty());
}

TEST_F(BackendDrainerTest, a_damaged_file_is_trouble_and_what_can_be_read_counts) {
    order("192.0.2.21:3306");
    std::ofstream(file, std::ios::app) << "what is this\n";
    begin();
    EXPECT_EQ(trouble, file + " is damaged: line 3 is not understood");
    EXPECT_THAT(draining, ElementsAre(a));
    order("192.0.2.22:3306");
    EXPECT_THAT(trouble, IsEmpty()) << "it has been written anew";
}

TEST_F(BackendDrainerTest, a_file_that_cannot_be_written_is_trouble_and_the_order_counts) {
    file = "/proc/hamr/x.backends";
    begin();
    order("192.0.2.21:3306");
    EXPECT_THAT(trouble, HasSubstr("/proc/hamr/x.backends"));
    EXPECT_THAT(draining, ElementsAre(a));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->outcome, Outcome::done);
}

TEST_F(BackendDrainerTest, who_waits_is_answered_when_the_agent_stops) {
    stands = false;
    order("192.0.2.21:3306");
    drainer->stop();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->message, "the agent stops");
}

}  // namespace
}  // namespace hamr::daemon
