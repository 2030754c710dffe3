// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/translate.hpp"

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* shop = R"(cluster: shop
nodes:
  router1: [192.0.2.11, 198.51.100.11]
  router2: 192.0.2.12
  witness1: {addresses: [192.0.2.13], role: witness}
key_file: /etc/hamr/hamr.key
heartbeat: {interval: 20ms, misses: 4, port: 9000}
announce: {refresh: 30s}
vips:
  writes: {addresses: [192.0.2.100/24, 2001:db8::100/64], interface: eth1, prefer: [router2],
           failback: {after: 10s}}
  reads: {addresses: 192.0.2.101/24, put_back: false}
router:
  backends: [192.0.2.21:3306]
  monitor: {user: hamr}
)";

PulseConfig translated(std::size_t self, const std::string& more = "") {
    const config::Loaded loaded = config::parse(shop + more, "shop.yaml");
    return pulse_config(loaded.config, self, {config::generate_key()});
}

Endpoint at(const char* text) {
    return *Endpoint::parse(text);
}

TEST(Translate, TheElectionKnowsEveryNode) {
    const election::Settings settings = translated(0).settings;
    EXPECT_EQ(settings.cluster, "shop");
    EXPECT_EQ(settings.self, "router1");
    EXPECT_EQ(settings.mode, election::Mode::majority) << "auto with three voters";
    EXPECT_EQ(settings.timing.interval, 20ms);
    EXPECT_EQ(settings.timing.misses, 4);
    ASSERT_THAT(settings.nodes, SizeIs(3));
    EXPECT_EQ(settings.nodes[1].role, election::NodeRole::router);
    EXPECT_EQ(settings.nodes[2].name, "witness1");
    EXPECT_EQ(settings.nodes[2].role, election::NodeRole::witness);
}

TEST(Translate, QuorumNone) {
    EXPECT_EQ(translated(0, "quorum: none\n").settings.mode, election::Mode::none);
}

TEST(Translate, PreferenceAndFailback) {
    const election::Settings settings = translated(0).settings;
    ASSERT_THAT(settings.groups, SizeIs(2));
    const auto& reads =
        settings.groups[0].name == "reads" ? settings.groups[0] : settings.groups[1];
    const auto& writes =
        settings.groups[0].name == "reads" ? settings.groups[1] : settings.groups[0];
    EXPECT_THAT(writes.prefer, ElementsAre("router2", "router1"));
    EXPECT_EQ(writes.failback, Duration(10s));
    EXPECT_THAT(reads.prefer, ElementsAre("router1", "router2"));
    EXPECT_EQ(reads.failback, std::nullopt);
}

TEST(Translate, FramesGoFromOwnAddressesToThoseOfAllOthers) {
    const PulseConfig pulse = translated(0);
    EXPECT_THAT(pulse.own, ElementsAre(at("192.0.2.11:9000"), at("198.51.100.11:9000")));
    ASSERT_THAT(pulse.peers, SizeIs(2));
    EXPECT_EQ(pulse.peers[0].node, election::node_id("router2"));
    EXPECT_THAT(pulse.peers[0].endpoints, ElementsAre(at("192.0.2.12:9000")));
    EXPECT_EQ(pulse.peers[1].node, election::node_id("witness1"));
    EXPECT_THAT(pulse.keys, SizeIs(1));
}

TEST(Translate, AddressesOfAGroup) {
    const PulseConfig pulse = translated(1);
    for (const PulseGroup& group : pulse.groups) {
        EXPECT_EQ(group.id, election::group_id(group.name));
        EXPECT_EQ(group.addresses.refresh, Duration(30s));
        EXPECT_EQ(group.addresses.put_back, group.name == "writes");
        EXPECT_THAT(group.addresses.node_addresses, ElementsAre(*IpAddress::parse("192.0.2.12")));
        EXPECT_EQ(group.addresses.interface, group.name == "writes" ? "eth1" : "");
        EXPECT_THAT(group.addresses.addresses, SizeIs(group.name == "writes" ? 2 : 1));
    }
}

TEST(Translate, ARouterCountsAsHealthyOnlyOnceItsRouterHasSpoken) {
    EXPECT_TRUE(translated(0).holds_addresses);
    EXPECT_THAT(translated(0).health_sources, ElementsAre("router"));
}

TEST(Translate, OnlyTheEmbeddedRouterForwardsAfterAHandover) {
    EXPECT_EQ(translated(0).forward, 2s);
    EXPECT_EQ(translated(2).forward, 0s) << "a witness has nothing to forward";
    const config::Loaded none = config::parse(
        "cluster: shop\nnodes: {router1: 192.0.2.11, router2: 192.0.2.12}\n"
        "key_file: /etc/hamr/hamr.key\nvip: 192.0.2.100/24\nrouter: {kind: none}\n",
        "shop.yaml");
    EXPECT_EQ(pulse_config(none.config, 0, {config::generate_key()}).forward, 0s);
}

TEST(Translate, AWitnessHoldsNothing) {
    EXPECT_FALSE(translated(2).holds_addresses);
    EXPECT_THAT(translated(2).health_sources, IsEmpty());
}

}  // namespace
}  // namespace hamr::daemon
