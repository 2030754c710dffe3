// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/conntrack_events.hpp"

#include "router/io/flow_rules.hpp"
#include "router/io/nft.hpp"
#include "router/ruleset.hpp"
#include "tests/unit/router/lab_net.hpp"

#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

// One namespace with the addresses on its loopback: its connections to itself are tracked.

namespace hamr::router_io {
namespace {

using router::Flow;
using router::FlowTable;
using router::Heard;

/// A connected pair.
struct Pair {
    UniqueFd client;
    UniqueFd server;
    Endpoint from;
};

class ConntrackTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        ns_.emplace();
        ASSERT_TRUE(*ns_);
        ASSERT_EQ(ns_->sh("ip addr add 192.0.2.100/32 dev lo && ip addr add 192.0.2.99/32 dev lo "
                          "&& ip -6 addr add 2001:db8::100/128 dev lo nodad"),
                  0);
        ns_->sh("sysctl -qw net.netfilter.nf_conntrack_events=1");
        FlowTable::Config config;
        config.groups = {vips};
        table_.emplace(config);
        table_->lead(0, true);
    }

    ConntrackEvents::Events events() {
        ConntrackEvents::Events made;
        made.heard = [this](const Flow& flow, Heard how) {
            heard_.push_back(flow);
            table_->local(flow, how);
        };
        made.gone = [this](const router::FlowId& id) { table_->local_gone(id); };
        made.begin_dump = [this] { table_->begin_dump(); };
        made.end_dump = [this] {
            table_->end_dump();
            ++dumps_;
        };
        made.trouble = [this](const std::string& what) { troubles_.push_back(what); };
        return made;
    }

    void load() { ASSERT_TRUE(apply_blocking(router::render_tracking(vips))); }

    static UniqueFd listener(const Endpoint& at) {
        UniqueFd fd(::socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, 0));
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        const auto address = raw(at);
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(fd.get(), 64), 0);
        return fd;
    }

    static sockaddr_in6 raw(const Endpoint& at) {
        sockaddr_in6 storage{};
        if (at.address.is_v4()) {
            sockaddr_in v4{};
            v4.sin_family = AF_INET;
            v4.sin_port = htons(at.port);
            std::memcpy(&v4.sin_addr, at.address.bytes().data(), 4);
            std::memcpy(&storage, &v4, sizeof v4);
        } else {
            storage.sin6_family = AF_INET6;
            storage.sin6_port = htons(at.port);
            std::memcpy(&storage.sin6_addr, at.address.bytes().data(), 16);
        }
        return storage;
    }

    static Pair connect(const UniqueFd& to, const Endpoint& at) {
        Pair pair;
        pair.client = UniqueFd(::socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, 0));
        const auto address = raw(at);
        EXPECT_EQ(::connect(pair.client.get(), reinterpret_cast<const sockaddr*>(&address),
                            sizeof address),
                  0);
        pair.server = UniqueFd(::accept(to.get(), nullptr, nullptr));
        return pair;
    }

    std::size_t own() const { return table_->count(FlowTable::self); }

    const std::vector<IpAddress> vips{*IpAddress::parse("192.0.2.100"),
                                      *IpAddress::parse("2001:db8::100")};
    std::optional<lab::Namespace> ns_;
    boost::asio::io_context io_;
    std::optional<FlowTable> table_;
    std::vector<Flow> heard_;
    std::vector<std::string> troubles_;
    int dumps_ = 0;
};

TEST_F(ConntrackTest, flows_to_the_addresses_are_heard_of_from_beginning_to_end) {
    ns_->in([&] {
        load();
        const Endpoint v4 = *Endpoint::parse("192.0.2.100:6446");
        const Endpoint v6 = *Endpoint::parse("[2001:db8::100]:6446");
        const Endpoint other = *Endpoint::parse("192.0.2.99:6446");
        const UniqueFd on_v4 = listener(v4);
        const UniqueFd on_v6 = listener(v6);
        const UniqueFd on_other = listener(other);
        // There before anybody listens.
        Pair early = connect(on_v4, v4);
        ConntrackEvents kernel(io_.get_executor(), vips, events());
        ASSERT_TRUE(kernel.start());
        ASSERT_TRUE(lab::run_until(io_, [&] { return dumps_ == 1 && own() == 1; }));
        Pair first = connect(on_v4, v4);
        Pair second = connect(on_v6, v6);
        const Pair not_ours = connect(on_other, other);
        ASSERT_TRUE(lab::run_until(io_, [&] { return own() == 3; }));
        for (const Flow& flow : heard_) {
            EXPECT_NE(flow.id.vip.address, other.address);
            EXPECT_TRUE(router::is_open(flow.state)) << "what has not begun stays in the kernel";
        }
        first.client.reset();
        first.server.reset();
        second.server.reset();
        second.client.reset();
        ASSERT_TRUE(lab::run_until(io_, [&] { return own() == 1; }));
        early.client.reset();
        early.server.reset();
        ASSERT_TRUE(lab::run_until(io_, [&] { return own() == 0; }));
        EXPECT_TRUE(troubles_.empty());
        EXPECT_EQ(kernel.missed(), 0U);
    });
}

TEST_F(ConntrackTest, a_deleted_entry_and_a_resync_are_seen) {
    ns_->in([&] {
        load();
        const Endpoint v4 = *Endpoint::parse("192.0.2.100:6446");
        const UniqueFd on_v4 = listener(v4);
        ConntrackEvents kernel(io_.get_executor(), vips, events());
        ASSERT_TRUE(kernel.start());
        const Pair pair = connect(on_v4, v4);
        ASSERT_TRUE(lab::run_until(io_, [&] { return dumps_ == 1 && own() == 1; }));
        table_->local_gone(heard_.back().id);
        kernel.resync();
        ASSERT_TRUE(lab::run_until(io_, [&] { return dumps_ == 2; }));
        EXPECT_EQ(own(), 1U);
        lab::Namespace::run("conntrack -F >/dev/null 2>&1");
        ASSERT_TRUE(lab::run_until(io_, [&] { return own() == 0; }));
    });
}

TEST_F(ConntrackTest, more_events_than_fit_are_made_good_by_a_dump) {
    ns_->in([&] {
        load();
        const Endpoint v4 = *Endpoint::parse("192.0.2.100:6446");
        const UniqueFd on_v4 = listener(v4);
        ConntrackEvents kernel(io_.get_executor(), vips, events(), 4096);
        ASSERT_TRUE(kernel.start());
        ASSERT_TRUE(lab::run_until(io_, [&] { return dumps_ == 1; }));
        std::vector<Pair> pairs;
        for (int i = 0; i < 200; ++i) pairs.push_back(connect(on_v4, v4));
        ASSERT_TRUE(lab::run_until(io_, [&] { return kernel.missed() > 0 && own() == 200; }));
        for (int i = 0; i < 100; ++i) pairs.pop_back();
        ASSERT_TRUE(lab::run_until(io_, [&] { return own() == 100; }));
    });
}

TEST_F(ConntrackTest, rules_that_somebody_flushed_are_put_back) {
    ns_->in([&] {
        int loaded = 0;
        int again = 0;
        FlowRules::Events events;
        events.loaded = [&](bool put_back) { (put_back ? again : loaded) += 1; };
        events.failed = [](const Error& error) { ADD_FAILURE() << error.message(); };
        FlowRules rules(io_.get_executor(), router::render_tracking(vips), events);
        EXPECT_FALSE(has_table("hamr").value());
        rules.start();
        ASSERT_TRUE(lab::run_until(io_, [&] { return loaded == 1; }));
        EXPECT_TRUE(has_table("hamr").value());
        rules.look();
        lab::Namespace::run("nft flush ruleset");
        EXPECT_FALSE(has_table("hamr").value());
        rules.look();
        ASSERT_TRUE(lab::run_until(io_, [&] { return again == 1; }));
        EXPECT_TRUE(has_table("hamr").value());
        EXPECT_EQ(loaded, 1);
        EXPECT_EQ(lab::Namespace::run("nft list table inet hamr | nft -c -f -"), 0)
            << "what nft prints, nft can read";
    });
}

}  // namespace
}  // namespace hamr::router_io
