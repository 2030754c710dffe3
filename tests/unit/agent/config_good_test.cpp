// SPDX-License-Identifier: GPL-2.0-or-later
// What good files come to: the design's example, defaults, every form that a setting may have.
#include "agent/config/config.hpp"
#include "agent/config/duration.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* example = R"(cluster: shop
nodes:
  router1: 192.0.2.11                 # or a map
  router2: [192.0.2.12, 198.51.100.12]
  witness1: {addresses: [192.0.2.13], role: witness}
key_file: /etc/hamr/hamr.key
heartbeat: {interval: 10ms, misses: 4, port: 8113}
quorum: auto
vip: 192.0.2.100/24
router:
  kind: embedded
  backends: [192.0.2.21:3306, 192.0.2.22:3306, "[2001:db8::23]:3307"]
  monitor: {user: hamr, password_file: /etc/hamr/monitor.password, interval: 2s}
)";

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

TEST(GoodConfig, TheExampleOfTheDesign) {
    const Loaded loaded = parse(example, "hamr.yaml");
    const Config& config = loaded.config;
    EXPECT_THAT(loaded.warnings, IsEmpty());
    EXPECT_EQ(config.cluster, "shop");
    ASSERT_EQ(config.nodes.size(), 3U);
    EXPECT_EQ(config.nodes[0], (Node{"router1", {ip("192.0.2.11")}, NodeRole::router}));
    EXPECT_EQ(config.nodes[1],
              (Node{"router2", {ip("192.0.2.12"), ip("198.51.100.12")}, NodeRole::router}));
    EXPECT_EQ(config.nodes[2], (Node{"witness1", {ip("192.0.2.13")}, NodeRole::witness}));
    EXPECT_EQ(config.key_file, "/etc/hamr/hamr.key");
    EXPECT_EQ(config.heartbeat, (Heartbeat{milliseconds(10), 4, 8113}));
    EXPECT_EQ(config.lease(), milliseconds(40));
    EXPECT_EQ(config.quorum, Quorum::automatic);
    EXPECT_EQ(config.effective_mode(), Mode::majority);
    ASSERT_EQ(config.groups.size(), 1U);
    EXPECT_EQ(config.groups[0], (Group{"default",
                                       {IpPrefix{ip("192.0.2.100"), 24}},
                                       std::nullopt,
                                       {"router1", "router2"},
                                       {}}));
    EXPECT_EQ(config.router.kind, RouterKind::embedded);
    EXPECT_THAT(config.router.backends,
                ElementsAre(Endpoint{ip("192.0.2.21"), 3306}, Endpoint{ip("192.0.2.22"), 3306},
                            Endpoint{ip("2001:db8::23"), 3307}));
    EXPECT_EQ(config.router.monitor,
              (Monitor{"hamr", "/etc/hamr/monitor.password", seconds(2), seconds(2)}));
    EXPECT_THAT(config.router.routes, ElementsAre(Route{"rw", 6446, RouteTarget::primary},
                                                  Route{"ro", 6447, RouteTarget::secondary}));
    EXPECT_EQ(config.announce_refresh, seconds(60));
}

TEST(GoodConfig, DefaultsOfTheSmallestFile) {
    const Loaded loaded = parse(
        "cluster: c\nnodes: {a: 192.0.2.1, b: 192.0.2.2}\nkey_file: /k\n"
        "vip: 2001:db8::100/64\nrouter: {kind: none}\n",
        "f");
    EXPECT_EQ(loaded.config.heartbeat, (Heartbeat{milliseconds(100), 3, 8112}));
    EXPECT_EQ(loaded.config.effective_mode(), Mode::none);
    EXPECT_EQ(loaded.config.router, (Router{RouterKind::none, {}, {}, {}, {}, {}}));
    EXPECT_FALSE(loaded.config.groups[0].failback.enabled);
    ASSERT_EQ(loaded.warnings.size(), 1U);
    EXPECT_THAT(loaded.warnings[0].to_string(),
                HasSubstr("f:1:1: quorum auto means none with two voters"));
}

TEST(GoodConfig, SeveralGroupsWithEverySetting) {
    const Loaded loaded = parse(R"(cluster: c
nodes: {a: 192.0.2.1, b: 192.0.2.2, d: 192.0.2.3}
key_file: /k
quorum: none
announce: {refresh: 30s}
vips:
  writes: {addresses: [192.0.2.100/24, 'fe80::100/64'], interface: eth0, prefer: [d, a],
           failback: true}
  reads:
    addresses: 192.0.2.101/24
    failback: {after: 1.5m}
    put_back: false
  other: [192.0.2.102/24, "2001:db8::102/64"]
router: {kind: none}
)",
                                "f");
    const auto& groups = loaded.config.groups;
    ASSERT_EQ(groups.size(), 3U);
    EXPECT_EQ(groups[0].interface, "eth0");
    EXPECT_THAT(groups[0].prefer, ElementsAre("d", "a", "b"));
    EXPECT_EQ(groups[0].addresses.size(), 2U);
    EXPECT_EQ(groups[0].failback, (Failback{true, {}}));
    EXPECT_EQ(groups[1].failback, (Failback{true, seconds(90)}));
    EXPECT_TRUE(groups[0].put_back);
    EXPECT_FALSE(groups[1].put_back);
    EXPECT_THAT(groups[1].prefer, ElementsAre("a", "b", "d"));
    EXPECT_EQ(groups[2].addresses[1], (IpPrefix{ip("2001:db8::102"), 64}));
    EXPECT_EQ(loaded.config.announce_refresh, seconds(30));
    EXPECT_EQ(loaded.config.effective_mode(), Mode::none);
}

TEST(GoodConfig, RoutesReplaceTheDefaultOnes) {
    const Loaded loaded = parse(R"(cluster: c
nodes: {a: 192.0.2.1, b: 192.0.2.2, d: 192.0.2.3}
key_file: /k
vip: {addresses: [192.0.2.100/24], interface: eth1}
router:
  backends: 192.0.2.1:3306
  monitor: {user: u, password_file: /p, interval: 100ms, timeout: 20ms}
  routes: {rw: {port: 3306, to: primary}}
)",
                                "f");
    EXPECT_THAT(loaded.config.router.routes, ElementsAre(Route{"rw", 3306, RouteTarget::primary}));
    EXPECT_EQ(loaded.config.router.monitor,
              (Monitor{"u", "/p", milliseconds(100), milliseconds(20)}));
    EXPECT_EQ(loaded.config.groups[0].interface, "eth1");
}

TEST(GoodConfig, TheLongestAllowedTimers) {
    const Loaded loaded = parse(
        "cluster: c\nnodes: {a: 192.0.2.1, b: 192.0.2.2}\nkey_file: /k\nvip: 192.0.2.9/24\n"
        "router: {kind: none}\nquorum: none\nheartbeat: {interval: 150ms, misses: 20}\n",
        "f");
    EXPECT_EQ(loaded.config.lease(), seconds(3));
    EXPECT_THAT(loaded.warnings, IsEmpty());
}

struct ModeRow {
    Quorum quorum;
    std::size_t voters;
    Mode mode;
};

TEST(EffectiveMode, AutoIsMajorityFromThreeVotersOn) {
    for (const ModeRow& row :
         {ModeRow{Quorum::automatic, 1, Mode::none}, ModeRow{Quorum::automatic, 2, Mode::none},
          ModeRow{Quorum::automatic, 3, Mode::majority},
          ModeRow{Quorum::automatic, 4, Mode::majority},
          ModeRow{Quorum::majority, 2, Mode::majority}, ModeRow{Quorum::none, 5, Mode::none}}) {
        Config config;
        config.quorum = row.quorum;
        config.nodes.resize(row.voters);
        EXPECT_EQ(config.effective_mode(), row.mode) << row.voters;
    }
}

TEST(FindSelf, ByNameAndByAddress) {
    const Config config = parse(example, "f").config;
    EXPECT_EQ(find_self(config, "witness1", {}), 2U);
    EXPECT_EQ(find_self(config, "router1", {ip("192.0.2.12")}), 0U);
    EXPECT_EQ(find_self(config, std::nullopt, {ip("127.0.0.1"), ip("198.51.100.12")}), 1U);

    EXPECT_EQ(find_self(config, "nosuch", {}).error().message(),
              "--node nosuch: the configuration has no such node; it has: router1, router2, "
              "witness1");
    EXPECT_EQ(find_self(config, std::nullopt, {ip("192.0.2.99")}).error().message(),
              "this host has no address of any node (router1, router2, witness1); add the host to "
              "`nodes`, or name it with --node NAME");
    EXPECT_EQ(
        find_self(config, std::nullopt, {ip("192.0.2.11"), ip("192.0.2.12")}).error().message(),
        "this host has addresses of several nodes (router1, router2); say which it is with --node "
        "NAME");
}

TEST(DurationText, ParsesAndFormats) {
    EXPECT_EQ(parse_duration("250us"), microseconds(250));
    EXPECT_EQ(parse_duration("100ms"), milliseconds(100));
    EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
    EXPECT_EQ(parse_duration("2m"), seconds(120));
    EXPECT_EQ(parse_duration("0s"), Duration{});
    for (const char* bad : {"", "s", "1", "1 s", "-1s", "1.s", ".5s", "1h", "1e3s", "1ss", "+1s",
                            "99999999999999999999s", "9999999m", "1.00000000001s"}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
    EXPECT_EQ(format_duration(milliseconds(1500)), "1500ms");
    EXPECT_EQ(format_duration(seconds(60)), "1m");
    EXPECT_EQ(format_duration(Duration{}), "0s");
    EXPECT_EQ(format_duration(Duration{1}), "1ns");
}

TEST(LoadConfig, ReadsAFileAndSaysWhyItCannot) {
    const test::TempDir dir;
    EXPECT_EQ(load(dir.write("good.yaml", example, 0644)).config.cluster, "shop");

    const std::string absent = dir.path("absent.yaml");
    try {
        load(absent);
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_EQ(std::string(error.what()),
                  absent + ": cannot be read: No such file or directory");
        EXPECT_EQ(error.cause(), std::errc::no_such_file_or_directory);
    }
    EXPECT_THROW(load("/dev/zero"), ConfigError);
    EXPECT_THROW(load("/"), ConfigError);
    EXPECT_THROW(load(dir.write("huge.yaml", std::string((1 << 20) + 1, '#'))), ConfigError);
}

}  // namespace
}  // namespace hamr::config
