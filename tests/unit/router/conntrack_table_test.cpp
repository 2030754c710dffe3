// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/conntrack_table.hpp"

#include "router/io/conntrack_events.hpp"
#include "router/io/nft.hpp"
#include "router/ruleset.hpp"
#include "tests/unit/router/lab_net.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// What the kernel makes of entries that are written into it, as its own dump tells.

namespace hamr::router_io {
namespace {

using router::Flow;
using router::FlowId;
using router::Heard;
using router::KernelWork;
using router::TcpState;
using router::Translation;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class ConntrackTableTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        ns_.emplace();
        ASSERT_TRUE(*ns_);
        ns_->in([&] {
            ASSERT_TRUE(apply_blocking(router::render_tracking(vips)));
            // Nothing is told of flows while the kernel has no use for them.
            ASSERT_TRUE(table_.open());
        });
    }

    static Flow flow(std::uint16_t client_port, std::uint16_t source, bool v6 = false,
                     TcpState state = TcpState::established) {
        const Endpoint client = *Endpoint::parse(v6 ? "[2001:db8::50]:1" : "192.0.2.50:1");
        const Endpoint backend = *Endpoint::parse(v6 ? "[2001:db8::21]:3306" : "192.0.2.21:3306");
        const IpAddress& vip = vips[v6 ? 1 : 0];
        Flow made{{{client.address, client_port}, {vip, 6446}}, state, Translation{}};
        made.translation->backend = backend;
        made.translation->source = {vip, source};
        made.translation->scale = {7, 9};
        made.translation->flags = {0x03, 0x03};
        made.translation->timeout_s = 77;
        return made;
    }

    std::vector<FlowId> apply(const std::vector<KernelWork>& work) {
        return ns_->in([&] { return table_.apply(work); });
    }

    /// What the kernel has.
    std::vector<Flow> kernel() {
        return ns_->in([&] {
            std::vector<Flow> found;
            bool done = false;
            ConntrackEvents::Events events;
            events.heard = [&](const Flow& heard, Heard how) {
                if (how == Heard::dumped) found.push_back(heard);
            };
            events.gone = [](const FlowId&) {};
            events.begin_dump = [] {};
            events.end_dump = [&] { done = true; };
            events.trouble = [](const std::string& what) { FAIL() << what; };
            ConntrackEvents listener(io_.get_executor(), vips, events);
            EXPECT_TRUE(listener.start());
            EXPECT_TRUE(lab::run_until(io_, [&] { return done; }));
            return found;
        });
    }

    /// All that is told but the time, which runs, and the flags, which are ours.
    static std::string way(const Flow& of) {
        return of.id.client.to_string() + ">" + of.id.vip.to_string() + " " +
               of.translation->backend.to_string() + ">" + of.translation->source.to_string() +
               " " + std::to_string(static_cast<int>(of.state)) + " " +
               std::to_string(of.translation->scale[0]) + "/" +
               std::to_string(of.translation->scale[1]);
    }
    std::vector<std::string> ways() {
        std::vector<std::string> found;
        for (const Flow& of : kernel()) {
            EXPECT_TRUE(of.translation) << "it is translated";
            if (of.translation) found.push_back(way(of));
        }
        return found;
    }

    static const std::vector<IpAddress> vips;
    boost::asio::io_context io_;
    std::optional<lab::Namespace> ns_;
    ConntrackTable table_;
};

const std::vector<IpAddress> ConntrackTableTest::vips{*IpAddress::parse("192.0.2.100"),
                                                      *IpAddress::parse("2001:db8::100")};

TEST_F(ConntrackTableTest, flows_of_both_families_are_written_as_the_kernel_would_have_them) {
    const Flow v4 = flow(40'000, 40'000);
    const Flow moved = flow(40'001, 51'000);
    const Flow v6 = flow(40'002, 52'000, true);
    EXPECT_THAT(apply({{v4.id, v4}, {moved.id, moved}, {v6.id, v6}}), IsEmpty());
    EXPECT_THAT(ways(), UnorderedElementsAre(way(v4), way(moved), way(v6)));
    for (const Flow& of : kernel()) {
        constexpr std::uint8_t liberal = 0x08;
        ASSERT_TRUE(of.translation);
        for (const std::uint8_t flags : of.translation->flags) {
            EXPECT_EQ(flags & (liberal | 0x03), liberal | 0x03);
        }
        EXPECT_GT(of.translation->timeout_s, 400'000U) << "nothing renews it here";
    }
    EXPECT_EQ(table_.counts().installed, 3U);
}

TEST_F(ConntrackTableTest, an_entry_that_is_there_changes) {
    Flow of = flow(40'000, 40'000);
    EXPECT_THAT(apply({{of.id, of}}), IsEmpty());
    of.state = TcpState::fin_wait;
    EXPECT_THAT(apply({{of.id, of, true}}), IsEmpty());
    EXPECT_THAT(ways(), ElementsAre(way(of)));
    EXPECT_LE(kernel().at(0).translation->timeout_s, 77U);
    EXPECT_EQ(table_.counts().updated, 1U);
}

TEST_F(ConntrackTableTest, one_that_should_be_there_and_is_not_is_made) {
    const Flow of = flow(40'000, 40'000);
    EXPECT_THAT(apply({{of.id, of, true}}), IsEmpty());
    EXPECT_THAT(ways(), ElementsAre(way(of)));
}

TEST_F(ConntrackTableTest, a_deleted_one_is_gone_and_may_be_gone_already) {
    const Flow of = flow(40'000, 40'000);
    const Flow v6 = flow(40'002, 52'000, true);
    EXPECT_THAT(apply({{of.id, of}, {v6.id, v6}}), IsEmpty());
    EXPECT_THAT(apply({{of.id}, {v6.id}}), IsEmpty());
    EXPECT_THAT(kernel(), IsEmpty());
    EXPECT_THAT(apply({{of.id}}), IsEmpty());
    EXPECT_EQ(table_.counts().deleted, 2U);
}

TEST_F(ConntrackTableTest, stale_entries_that_are_in_the_way_are_replaced) {
    const Flow stale = flow(40'000, 50'000);
    const Flow other = flow(41'000, 51'000);
    EXPECT_THAT(apply({{stale.id, stale}, {other.id, other}}), IsEmpty());
    // The client's way of one, the backend's of the other.
    const Flow fresh = flow(40'000, 51'000);
    EXPECT_THAT(apply({{fresh.id, fresh}}), IsEmpty());
    EXPECT_THAT(ways(), ElementsAre(way(fresh)));
    EXPECT_EQ(table_.counts().replaced, 1U);
}

TEST_F(ConntrackTableTest, nothing_takes_the_place_of_an_own_entry) {
    const Flow own = flow(40'000, 50'000);
    EXPECT_THAT(apply({{own.id, own}}), IsEmpty());
    const Flow told = flow(40'000, 51'000);
    EXPECT_THAT(apply({{told.id, told, false, true}}), IsEmpty());
    EXPECT_THAT(ways(), ElementsAre(way(own)));
}

TEST_F(ConntrackTableTest, a_whole_batch_fits_and_thousands_take_milliseconds_each) {
    std::vector<KernelWork> work;
    const BootTime begun = BootClock::now();
    constexpr std::uint16_t batches = 80;
    for (std::uint16_t batch = 0; batch < batches; ++batch) {
        work.clear();
        for (std::size_t i = 0; i < ConntrackTable::most; ++i) {
            const auto port = static_cast<std::uint16_t>(10'000 + batch * ConntrackTable::most + i);
            const Flow of = flow(port, port, true);
            work.push_back({of.id, of});
        }
        ASSERT_THAT(apply(work), IsEmpty());
    }
    const double ms = to_ms(BootClock::now() - begun);
    RecordProperty("ms_per_batch", std::to_string(ms / batches));
    EXPECT_THAT(kernel(), SizeIs(batches * ConntrackTable::most));
    // The same again is replaced; the most work that a batch can be.
    ASSERT_THAT(apply(work), IsEmpty());
    EXPECT_EQ(table_.counts().replaced, ConntrackTable::most);
}

}  // namespace
}  // namespace hamr::router_io
