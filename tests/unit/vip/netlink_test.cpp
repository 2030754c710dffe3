// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/io/netlink.hpp"

#include "tests/unit/vip/netns.hpp"
#include "vip/io/packet_socket.hpp"
#include "vip/plan.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace hamr::vip {
namespace {

using namespace test;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

IpPrefix prefix(const char* text) {
    return *IpPrefix::parse(text);
}

/// A loop with netlink on it, and the picture that its events make.
struct Loop {
    Loop() {
        auto opened = Netlink::open(context.get_executor(), [this](auto batch) {
            for (const KernelEvent& event : batch) {
                links.apply(event);
                events.push_back(event);
            }
            if (on_change) on_change();
        });
        EXPECT_TRUE(opened) << opened.error().message();
        netlink = std::move(*opened);
    }

    /// Runs the loop until the condition holds.
    bool until(const std::function<bool()>& condition) {
        const BootTime deadline = BootClock::now() + patience;
        while (!condition()) {
            if (BootClock::now() > deadline) return false;
            context.restart();
            context.run_one_for(10ms);
        }
        return true;
    }

    Result<> add(const IpPrefix& address, InterfaceIndex index = index_of("near")) {
        return request([&](auto done) { netlink->add_address(index, address, done); });
    }
    Result<> remove(const IpPrefix& address, InterfaceIndex index = index_of("near")) {
        return request([&](auto done) { netlink->remove_address(index, address, done); });
    }
    Result<> request(const std::function<void(Netlink::Completion)>& ask) {
        std::optional<Result<>> outcome;
        ask([&](Result<> result) { outcome = std::move(result); });
        EXPECT_TRUE(until([&] { return outcome.has_value(); }));
        return outcome.value_or(Result<>(fail("no completion")));
    }
    bool has(const IpPrefix& address) {
        const auto* link = links.find("near");
        return link != nullptr && link->has(address);
    }

    boost::asio::io_context context;
    Links links;
    std::vector<KernelEvent> events;
    std::function<void()> on_change;
    std::unique_ptr<Netlink> netlink;
};

TEST(Netlink, begins_with_a_snapshot) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        ASSERT_TRUE(loop.until([&] { return loop.links.complete(); }));
        const auto* near = loop.links.find("near");
        ASSERT_NE(near, nullptr);
        EXPECT_EQ(near->seen.index, index_of("near"));
        EXPECT_EQ(near->seen.mac.to_string(), "02:00:5e:00:53:01");
        EXPECT_TRUE(near->seen.up && near->seen.carrier && !near->seen.loopback);
        EXPECT_TRUE(near->has(prefix("192.0.2.11/24")));
        EXPECT_TRUE(near->has(prefix("2001:db8::11/64")));
        EXPECT_TRUE(loop.links.find("lo")->seen.loopback);
        EXPECT_TRUE(loop.links.find("lo")->has(prefix("127.0.0.1/8")));
    });
}

TEST(Netlink, adds_and_removes_and_tells) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        ASSERT_TRUE(loop.until([&] { return loop.links.complete(); }));
        for (const char* text :
             {"192.0.2.100/24", "192.0.2.101/32", "2001:db8::100/64", "2001:db8::101/128"}) {
            const IpPrefix address = prefix(text);
            const auto added = loop.add(address);
            EXPECT_TRUE(added) << added.error().message();
            if (address.address.is_v4()) {
                EXPECT_TRUE(loop.has(address)) << "told before the completion";
            }
            EXPECT_TRUE(loop.until([&] { return loop.has(address); })) << text;
            EXPECT_TRUE(loop.add(address)) << "there already";
            EXPECT_TRUE(loop.remove(address));
            EXPECT_FALSE(loop.has(address)) << "told before the completion";
            EXPECT_TRUE(loop.remove(address)) << "gone already";
        }
        EXPECT_TRUE(loop.remove(prefix("192.0.2.100/24"), InterfaceIndex{4711}));
        const auto nowhere = loop.add(prefix("192.0.2.100/24"), InterfaceIndex{4711});
        ASSERT_FALSE(nowhere);
        EXPECT_EQ(nowhere.error().code.value(), ENODEV);
        EXPECT_THAT(nowhere.error().message(),
                    HasSubstr("add 192.0.2.100/24 on interface 4711: No such device"));
    });
}

TEST(Netlink, a_vip_is_never_the_source_of_the_hosts_own_traffic) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        ASSERT_TRUE(loop.add(prefix("192.0.2.100/24")));
        ASSERT_TRUE(loop.add(prefix("203.0.113.100/32")));
        ASSERT_TRUE(loop.add(prefix("2001:db8::100/64")));
        ASSERT_TRUE(loop.add(prefix("2001:db8::5/128")));
        ASSERT_TRUE(loop.until([&] { return loop.has(prefix("2001:db8::5/128")); }));
        ASSERT_TRUE(
            shell("ip route add default via 192.0.2.1 && "
                  "ip route add default via 2001:db8::1"));
        for (const char* to : {"192.0.2.7", "203.0.113.7", "198.51.100.7"}) {
            EXPECT_THAT(output_of(std::string("ip route get ") + to), HasSubstr("src 192.0.2.11 "));
        }
        for (const char* to : {"2001:db8::7", "2001:db8:1::7"}) {
            EXPECT_THAT(output_of(std::string("ip route get ") + to),
                        HasSubstr("src 2001:db8::11 "));
        }
        const std::string shown = output_of("ip address show near");
        EXPECT_THAT(shown, HasSubstr("192.0.2.100/24 scope global secondary"));
        EXPECT_THAT(shown,
                    ::testing::ContainsRegex("2001:db8::100/64 scope global[a-z ]* deprecated"));
    });
}

TEST(Netlink, tells_what_others_do) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        ASSERT_TRUE(loop.until([&] { return loop.links.complete(); }));
        ASSERT_TRUE(shell("ip address add 192.0.2.100/24 dev near"));
        EXPECT_TRUE(loop.until([&] { return loop.has(prefix("192.0.2.100/24")); }));
        ASSERT_TRUE(shell("ip address del 192.0.2.100/24 dev near"));
        EXPECT_TRUE(loop.until([&] { return !loop.has(prefix("192.0.2.100/24")); }));
        ASSERT_TRUE(shell("ip link set far down"));
        EXPECT_TRUE(loop.until([&] { return !loop.links.find("near")->seen.carrier; }));
        EXPECT_TRUE(loop.links.find("near")->seen.up);
        ASSERT_TRUE(shell("ip link set near down"));
        EXPECT_TRUE(loop.until([&] { return !loop.links.find("near")->seen.up; }));
        ASSERT_TRUE(shell("ip link del near"));
        EXPECT_TRUE(loop.until([&] { return loop.links.find("near") == nullptr; }));
        ASSERT_TRUE(shell("ip link add near type veth peer name far"));
        EXPECT_TRUE(loop.until([&] { return loop.links.find("near") != nullptr; }));
    });
}

TEST(Netlink, tells_when_traffic_control_changes) {
    HAMR_IN_NAMESPACE([] {
        ASSERT_TRUE(shell("tc qdisc add dev near clsact"));
        Loop loop;
        ASSERT_TRUE(loop.until([&] { return loop.links.complete(); }));
        loop.events.clear();
        ASSERT_TRUE(shell("tc qdisc del dev near clsact"));
        const KernelEvent wanted = TrafficControlChanged{index_of("near")};
        EXPECT_TRUE(loop.until([&] {
            return std::find(loop.events.begin(), loop.events.end(), wanted) != loop.events.end();
        }));
    });
}

TEST(Netlink, a_new_snapshot_can_be_asked_for_again_and_again) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        const auto ends = [&] {
            return std::count(loop.events.begin(), loop.events.end(), KernelEvent(SnapshotEnd{}));
        };
        for (int i = 0; i < 5; ++i) loop.netlink->refresh();
        EXPECT_TRUE(loop.until([&] { return ends() >= 1; }));
        loop.netlink->refresh();
        const auto before = ends();
        EXPECT_TRUE(loop.until([&] { return ends() > before; }));
        EXPECT_TRUE(loop.has(prefix("192.0.2.11/24")));
        EXPECT_EQ(loop.netlink->overflows(), 0U);
    });
}

TEST(Netlink, many_links_make_one_picture) {
    HAMR_IN_NAMESPACE([] {
        ASSERT_TRUE(
            shell("for i in $(seq 1 100); do echo link add p$i type veth peer name q$i; "
                  "echo address add 198.51.100.$i/32 dev p$i; done | ip -batch -"));
        Loop loop;
        ASSERT_TRUE(loop.until([&] { return loop.links.complete(); }));
        for (int i = 1; i <= 100; ++i) {
            const auto* link = loop.links.find("p" + std::to_string(i));
            ASSERT_NE(link, nullptr) << i;
            EXPECT_EQ(link->addresses.size(), 1U) << i;
        }
    });
}

TEST(Netlink, without_permission_a_request_fails_and_says_so) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        ASSERT_TRUE(loop.until([&] { return loop.links.complete(); }));
        ASSERT_TRUE(shell("sysctl -qw net.ipv6.conf.near.disable_ipv6=1"));
        const auto added = loop.add(prefix("2001:db8::100/64"));
        ASSERT_FALSE(added);
        EXPECT_EQ(added.error().code.value(), EACCES);
    });
}

TEST(Netlink, completions_that_come_too_late_are_dropped) {
    HAMR_IN_NAMESPACE([] {
        Loop loop;
        bool called = false;
        loop.netlink->add_address(index_of("near"), prefix("192.0.2.100/24"),
                                  [&](const Result<>&) { called = true; });
        loop.netlink.reset();
        loop.context.restart();
        loop.context.run_for(20ms);
        EXPECT_FALSE(called);
    });
}

/// A plan, driven as the agent drives it.
struct Driver {
    explicit Driver(Loop& l) : loop(l), socket(PacketSocket::open().value()) {
        loop.on_change = [this] { step(); };
    }

    void step() {
        for (const Action& action : plan.update(loop.links, BootClock::now())) {
            if (const auto* add = std::get_if<AddAddress>(&action)) {
                loop.netlink->add_address(add->index, add->prefix, [this, r = *add](auto result) {
                    plan.done(r, result, BootClock::now());
                    step();
                });
            } else if (const auto* remove = std::get_if<RemoveAddress>(&action)) {
                loop.netlink->remove_address(remove->index, remove->prefix,
                                             [this, r = *remove](auto result) {
                                                 plan.done(r, result, BootClock::now());
                                                 step();
                                             });
            } else if (const auto* announce = std::get_if<Announce>(&action)) {
                const auto sent = socket.send(*announce);
                EXPECT_TRUE(sent) << sent.error().message();
                ++announced;
            } else if (const auto* question = std::get_if<Solicit>(&action)) {
                const Frame frame =
                    solicitation(question->address, question->source, question->mac);
                EXPECT_TRUE(socket.send(question->index, frame.view()));
            } else {
                notices.push_back(std::get<Report>(action).notice);
            }
        }
    }

    Loop& loop;
    PacketSocket socket;
    Plan plan{{.addresses = {prefix("192.0.2.100/24"), prefix("2001:db8::100/64")}}};
    int announced = 0;
    std::vector<Notice> notices;
};

TEST(NetlinkAndPlan, the_addresses_come_are_announced_are_defended_and_go) {
    HAMR_IN_NAMESPACE([] {
        ASSERT_TRUE(shell("ip address add 192.0.2.100/32 dev lo"));
        const Port far("far");
        Loop loop;
        Driver driver(loop);
        const IpPrefix v4 = prefix("192.0.2.100/24");
        const IpPrefix v6 = prefix("2001:db8::100/64");
        ASSERT_TRUE(loop.until([&] { return !driver.notices.empty(); }));
        EXPECT_EQ(driver.notices, std::vector{Notice::leftover_removed});
        driver.plan.hold(BootClock::now());
        driver.step();
        ASSERT_TRUE(loop.until([&] { return driver.plan.established(); }));
        EXPECT_GE(driver.announced, 2);
        far.receive_until([&](const Octets& frame) { return is_sent_as(frame, v6.address); });
        EXPECT_THAT(output_of("ip address show lo"), Not(HasSubstr("192.0.2.100")));
        for (const char* what : {"192.0.2.100/24", "2001:db8::100/64"}) {
            ASSERT_TRUE(shell(std::string("ip address del ") + what + " dev near"));
            ASSERT_TRUE(loop.until([&] { return driver.notices.back() == Notice::deleted; }));
            ASSERT_TRUE(loop.until([&] { return driver.plan.established(); }));
            driver.notices.push_back(Notice::ready);
        }
        EXPECT_GE(driver.announced, 4);
        driver.plan.release();
        driver.step();
        ASSERT_TRUE(loop.until([&] { return !loop.has(v4) && !loop.has(v6); }));
        EXPECT_THAT(output_of("ip address show near"), Not(::testing::ContainsRegex("[.:]100/")));
    });
}

}  // namespace
}  // namespace hamr::vip
