// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_limits.hpp"

#include "tests/unit/router/lab_net.hpp"

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router_io {
namespace {

using namespace std::chrono_literals;
using router::FlowTable;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const IpAddress vip = *IpAddress::parse("192.0.2.100");

class FlowLimitsTest : public testing::Test {
  protected:
    FlowLimitsTest() : table_(config()) { table_.lead(0, true); }

    static FlowTable::Config config() {
        FlowTable::Config made;
        made.groups = {{vip}};
        made.replicas = true;
        return made;
    }

    /// A moment later, with so many entries of a thousand.
    void look(std::uint64_t count, std::uint64_t refused = 0, Duration later = 500ms) {
        now_ += later;
        limits_.look(now_, ConntrackUsage{count, 1000, 0}, refused, table_);
    }

    /// Of two clients.
    static router::FlowId id(std::uint32_t number) {
        const auto port = static_cast<std::uint16_t>(number % 50'000 + 1024);
        const char* client = number < 50'000 ? "192.0.2.50" : "192.0.2.51";
        return {{*IpAddress::parse(client), port}, {vip, 6446}};
    }

    /// Flows through this backend.
    void flows(const char* backend, std::uint32_t first, std::uint32_t below) {
        for (std::uint32_t number = first; number < below; ++number) {
            router::Flow flow;
            flow.id = id(number);
            flow.translation = router::Translation{*Endpoint::parse(backend), {vip, 1}};
            table_.local(flow, router::Heard::begun);
        }
    }

    BootTime now_ = BootTime{} + 1h;
    FlowTable table_;
    std::map<std::string, std::string> troubles_;
    int told_ = 0;
    FlowLimits limits_{
        [this](const std::string& key, const std::string& what, const std::string& remedy) {
            EXPECT_EQ(what.empty(), remedy.empty());
            const std::string before = std::exchange(troubles_[key], what);
            told_ += before == what ? 0 : 1;
            if (what.empty()) troubles_.erase(key);
        }};
};

TEST_F(FlowLimitsTest, a_table_with_room_is_nothing_to_speak_of) {
    for (const std::uint64_t count : {0, 500, 899}) look(count);
    EXPECT_THAT(troubles_, IsEmpty());
    EXPECT_EQ(limits_.room(), 101U);
}

TEST_F(FlowLimitsTest, warns_before_the_table_is_full_and_no_more_once_there_is_room) {
    look(900);
    EXPECT_THAT(troubles_["flows-table"], AllOf(HasSubstr("nearly full"), HasSubstr("1000")));
    for (const std::uint64_t count : {899, 910, 860, 850}) look(count);
    EXPECT_EQ(told_, 1) << "once";
    look(849);
    EXPECT_THAT(troubles_, IsEmpty());
    look(899);
    EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(FlowLimitsTest, says_when_it_is_full_and_for_some_seconds_after) {
    look(1000);
    EXPECT_THAT(troubles_["flows-table"], HasSubstr("is full"));
    EXPECT_EQ(limits_.room(), 0U);
    for (const std::uint64_t count : {999, 1000, 998}) look(count);
    EXPECT_EQ(told_, 1) << "once, though it is not full at each moment";
    look(950, 0, 10s);
    EXPECT_THAT(troubles_["flows-table"], HasSubstr("nearly full"));
    look(10);
    EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(FlowLimitsTest, a_refused_flow_shows_that_it_was_full_between_two_looks) {
    look(950);
    look(950, 7);
    EXPECT_THAT(troubles_["flows-table"], HasSubstr("is full"));
    look(950, 7, 11s);
    EXPECT_THAT(troubles_["flows-table"], HasSubstr("nearly full"));
}

TEST_F(FlowLimitsTest, without_a_limit_there_is_room) {
    limits_.look(now_, ConntrackUsage{5, 0, 0}, 0, table_);
    EXPECT_EQ(limits_.room(), UINT64_MAX);
    limits_.look(now_, {}, 0, table_);
    EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(FlowLimitsTest, warns_when_most_ports_towards_a_backend_are_in_use) {
    const auto few = static_cast<std::uint32_t>(FlowLimits::ports * 79 / 100);
    const auto many = static_cast<std::uint32_t>(FlowLimits::ports * 81 / 100);
    flows("192.0.2.21:3306", 0, few);
    look(0, 0, 5s);
    EXPECT_THAT(troubles_, IsEmpty());
    flows("192.0.2.21:3306", few, many);
    look(0, 0, 1s);
    EXPECT_THAT(troubles_, IsEmpty()) << "it is not looked at all the time";
    look(0, 0, 5s);
    ASSERT_THAT(troubles_, SizeIs(1));
    EXPECT_THAT(troubles_["flows-ports 192.0.2.21:3306"],
                AllOf(HasSubstr("64512 ports"), HasSubstr("192.0.2.21:3306")));
    for (std::uint32_t number = 0; number < few / 2; ++number) table_.local_gone(id(number));
    look(0, 0, 5s);
    EXPECT_THAT(troubles_, IsEmpty());
}

TEST(ConntrackUsageTest, is_read_from_the_kernel_of_this_namespace) {
    HAMR_LAB_NEEDS_ROOT();
    const lab::Namespace ns;
    ASSERT_TRUE(ns);
    ns.sh("nft add table ip t '{ chain c { type filter hook input priority 0; ct state new; }; }'");
    const auto usage = ns.in([] { return conntrack_usage(); });
    ASSERT_TRUE(usage);
    EXPECT_GT(usage->most, 0U);
    EXPECT_LT(usage->count, usage->most);
    EXPECT_EQ(usage->dropped, 0U);
}

}  // namespace
}  // namespace hamr::router_io
