// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/host_settings.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A /proc/sys of its own, and a host with a service link, another link and lo.
class HostSettingsTest : public testing::Test {
  protected:
    void SetUp() override {
        for (const char* link : {"all", "eth0", "eth1"}) {
            const std::string conf = "net/ipv4/conf/" + std::string(link);
            for (const char* key : {"send_redirects", "arp_announce", "forwarding"}) {
                set(conf + "/" + key, std::string(key) == "send_redirects" ? "1" : "0");
            }
        }
        see(1, "lo", "127.0.0.1/8", true);
        see(2, "eth0", "192.0.2.11/24");
        see(3, "eth1", "198.51.100.11/24");
    }

    void see(int number, const char* name, const char* prefix, bool loopback = false) {
        const vip::InterfaceIndex index{number};
        links_.apply(vip::LinkSeen{index, name, {}, true, true, loopback});
        links_.apply(vip::AddressSeen{index, *IpPrefix::parse(prefix)});
    }

    void set(const std::string& path, const std::string& value) {
        const std::filesystem::path file = root_ + "/" + path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << value << "\n";
    }

    std::string get(const std::string& path) {
        std::ifstream file(root_ + "/" + path);
        std::string value;
        std::getline(file, value);
        return value;
    }

    static config::Config config(const std::string& kind, const std::string& vip =
                                                              "vip: "
                                                              "192.0.2.100/24") {
        return config::parse(
                   "cluster: shop\nnodes: {r1: 192.0.2.11, r2: 192.0.2.12}\n"
                   "key_file: /k\n" +
                       vip + "\nrouter: " + kind + "\n",
                   "hamr.yaml")
            .config;
    }

    test::TempDir dir_;
    std::string root_ = dir_.path("sys");
    std::string record_ = dir_.path("sysctls");
    vip::Links links_;
};

// The backend is where no route of the machine that runs this test should lead over eth0 or eth1.
constexpr const char* embedded = "{backends: [127.0.0.1:3306], monitor: {user: hamr}}";

TEST_F(HostSettingsTest, OnlyTheLinkOfTheAddressIsTouched) {
    const config::Config plain = config("{kind: none}");
    HostSettings settings(plain, record_, root_);
    EXPECT_TRUE(settings.links_changed(links_));
    EXPECT_THAT(settings.interfaces(), ElementsAre("eth0"));
    ASSERT_TRUE(settings.apply());
    EXPECT_EQ(get("net/ipv4/conf/eth0/arp_announce"), "2");
    EXPECT_EQ(get("net/ipv4/conf/eth0/forwarding"), "0") << "an address with nothing behind it";
    EXPECT_EQ(get("net/ipv4/conf/eth1/arp_announce"), "0");
}

TEST_F(HostSettingsTest, TheRouterForwardsAndSendsNoRedirects) {
    const config::Config routing = config(embedded);
    HostSettings settings(routing, record_, root_);
    EXPECT_TRUE(settings.links_changed(links_));
    ASSERT_TRUE(settings.apply());
    EXPECT_EQ(get("net/ipv4/conf/eth0/forwarding"), "1");
    EXPECT_EQ(get("net/ipv4/conf/eth0/send_redirects"), "0");
    EXPECT_EQ(get("net/ipv4/conf/all/send_redirects"), "0");
    EXPECT_EQ(get("net/ipv4/conf/eth1/forwarding"), "0");
    EXPECT_THAT(settings.guards().v4, ElementsAre("eth0")) << "nothing was forwarded before";
}

TEST_F(HostSettingsTest, WhatForwardedBeforeIsNotGuarded) {
    set("net/ipv4/conf/eth0/forwarding", "1");
    const config::Config routing = config(embedded);
    HostSettings settings(routing, record_, root_);
    EXPECT_TRUE(settings.links_changed(links_));
    ASSERT_TRUE(settings.apply());
    EXPECT_THAT(settings.guards().v4, IsEmpty());
}

TEST_F(HostSettingsTest, OriginalsComeBackAlsoAfterACrash) {
    const config::Config routing = config(embedded);
    {
        HostSettings crashed(routing, record_, root_);
        EXPECT_TRUE(crashed.links_changed(links_));
        ASSERT_TRUE(crashed.apply());
    }
    HostSettings settings(routing, record_, root_);
    ASSERT_TRUE(settings.restore());
    EXPECT_EQ(get("net/ipv4/conf/eth0/forwarding"), "0");
    EXPECT_EQ(get("net/ipv4/conf/eth0/arp_announce"), "0");
    EXPECT_EQ(get("net/ipv4/conf/all/send_redirects"), "1");
    EXPECT_FALSE(std::filesystem::exists(record_));
}

TEST_F(HostSettingsTest, LooksAgainOnlyWhenOtherLinksAreInUse) {
    const config::Config chosen =
        config("{kind: none}", "vip: {addresses: 203.0.113.100/24, interface: eth1}");
    HostSettings settings(chosen, record_, root_);
    EXPECT_TRUE(settings.links_changed(links_));
    EXPECT_THAT(settings.interfaces(), ElementsAre("eth1"));
    see(2, "eth0", "192.0.2.31/24");
    EXPECT_FALSE(settings.links_changed(links_));
    see(4, "eth2", "203.0.113.11/24");
    EXPECT_TRUE(settings.links_changed(links_));
    EXPECT_THAT(settings.interfaces(), ElementsAre("eth1", "eth2"));
}

TEST_F(HostSettingsTest, ASettingThatCannotBeWrittenIsNamed) {
    std::filesystem::remove_all(root_ + "/net/ipv4/conf/eth0");
    const config::Config plain = config("{kind: none}");
    HostSettings settings(plain, record_, root_);
    EXPECT_TRUE(settings.links_changed(links_));
    const auto applied = settings.apply();
    ASSERT_FALSE(applied);
    EXPECT_THAT(applied.error().message(), testing::HasSubstr("eth0/arp_announce"));
}

}  // namespace
}  // namespace hamr::daemon
