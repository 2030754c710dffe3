// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/deaf_link.hpp"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

namespace hamr::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const BootTime now{seconds{1000}};
constexpr Duration patience = milliseconds{500};

Endpoint at(const std::string& address) {
    return {*IpAddress::parse(address), 8112};
}

/// eth0 with 192.0.2.11 (the address's network) and eth1 with 198.51.100.11.
vip::Links two_links() {
    vip::Links links;
    links.apply(vip::SnapshotBegin{});
    for (const int index : {1, 2}) {
        vip::LinkSeen link;
        link.index = vip::InterfaceIndex{index};
        link.name = "eth" + std::to_string(index - 1);
        link.up = link.carrier = true;
        links.apply(link);
    }
    links.apply(vip::AddressSeen{vip::InterfaceIndex{1}, *IpPrefix::parse("192.0.2.11/24")});
    links.apply(vip::AddressSeen{vip::InterfaceIndex{2}, *IpPrefix::parse("198.51.100.11/24")});
    links.apply(vip::SnapshotEnd{});
    return links;
}

vip::PlanConfig plan() {
    vip::PlanConfig config;
    config.addresses = {*IpPrefix::parse("192.0.2.100/24")};
    return config;
}

std::vector<election_io::Arrival> arrivals() {
    std::vector<election_io::Arrival> list;
    for (const char* name : {"router2", "witness1"}) {
        const election::NodeId node = election::node_id(name);
        list.push_back({node, at("192.0.2.11"), at("192.0.2.12"), election_io::path_index(0, 0)});
        list.push_back(
            {node, at("198.51.100.11"), at("198.51.100.12"), election_io::path_index(1, 1)});
    }
    return list;
}

/// Heard so long ago on eth0, and just now on eth1.
election::NodeStatus peer(const std::string& name, Duration on_eth0) {
    election::NodeStatus node;
    node.name = name;
    node.heard = node.alive = true;
    node.heard_on.fill(long_ago);
    node.heard_on[election_io::path_index(0, 0)] = now - on_eth0;
    node.heard_on[election_io::path_index(1, 1)] = now;
    node.paths_since = now - seconds{60};
    return node;
}

std::optional<std::string> judged(const std::vector<election::NodeStatus>& nodes) {
    return deaf_link(two_links(), plan(), nodes, arrivals(), now, patience);
}

TEST(DeafLink, AllPeersSilentThereAndAliveElsewhere) {
    EXPECT_EQ(judged({peer("router2", seconds{1}), peer("witness1", seconds{2})}), "eth0");
}

TEST(DeafLink, OnePeerThatIsHeardThereIsEnough) {
    EXPECT_FALSE(judged({peer("router2", seconds{1}), peer("witness1", milliseconds{100})}));
}

TEST(DeafLink, PeersThatAreSilentEverywhereSayNothing) {
    auto silent = peer("router2", seconds{1});
    silent.alive = false;
    EXPECT_FALSE(judged({silent}));
    EXPECT_FALSE(judged({}));
}

TEST(DeafLink, ThereIsTimeForTheFirstFrames) {
    auto fresh = peer("router2", seconds{60});
    fresh.paths_since = now - milliseconds{499};
    EXPECT_FALSE(judged({fresh}));
}

TEST(DeafLink, ALinkWithoutHeartbeatsIsNotJudged) {
    vip::PlanConfig elsewhere = plan();
    elsewhere.interface = "eth1";
    EXPECT_FALSE(deaf_link(two_links(), elsewhere,
                           std::vector{peer("router2", seconds{1}), peer("witness1", seconds{1})},
                           arrivals(), now, patience));
}

}  // namespace
}  // namespace hamr::daemon
