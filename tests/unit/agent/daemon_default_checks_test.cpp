// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/default_checks.hpp"
#include "agent/daemon/files.hpp"

#include <variant>

#include <gtest/gtest.h>

namespace hamr::daemon {
namespace {

using Protocol = router::Listener::Protocol;

config::Config supervised(router::ProviderKind kind) {
    config::Config config;
    config.router.kind = config::RouterKind::supervised;
    config.router.provider.kind = kind;
    config.groups.push_back({"default", {*IpPrefix::parse("192.0.2.100/24")}, {}, {}, {}});
    return config;
}

router::Plan listening(std::vector<router::Listener> listeners) {
    router::Plan plan;
    plan.listeners = std::move(listeners);
    return plan;
}

std::string target(const health::CheckSpec& spec) {
    if (const auto* mysql = std::get_if<health::MysqlProbe>(&spec.probe)) {
        return "mysql " + mysql->target.to_string();
    }
    return "tcp " + std::get<health::TcpProbe>(spec.probe).target.to_string();
}

TEST(DefaultChecks, each_port_is_asked_where_this_host_reaches_it) {
    const auto checks = checks_of(supervised(router::ProviderKind::mysqlrouter), nullptr);
    EXPECT_TRUE(checks.empty());
    const router::Plan plan =
        listening({{"rw", *Endpoint::parse("0.0.0.0:6446"), Protocol::mysql},
                   {"ro", *Endpoint::parse("[::]:6447"), Protocol::mysql},
                   {"x", *Endpoint::parse("192.0.2.11:6448"), Protocol::mysql_x},
                   {"rest", *Endpoint::parse("0.0.0.0:8443"), Protocol::http}});
    const auto made = checks_of(supervised(router::ProviderKind::mysqlrouter), &plan);
    ASSERT_EQ(3U, made.size());
    EXPECT_EQ("mysql 127.0.0.1:6446", target(made[0]));
    EXPECT_EQ("mysql [::1]:6447", target(made[1]));
    EXPECT_EQ("tcp 192.0.2.11:6448", target(made[2]));
    EXPECT_EQ("rw", made[0].name);
}

TEST(DefaultChecks, a_port_of_the_floating_address_is_asked_only_by_a_leader) {
    const router::Plan plan =
        listening({{"rw", *Endpoint::parse("192.0.2.100:3306"), Protocol::mysql}});
    config::Config config = supervised(router::ProviderKind::haproxy);
    EXPECT_TRUE(checks_of(config, &plan).empty());
    config.router.provider.start = router::StartWhen::leader;
    EXPECT_EQ(1U, checks_of(config, &plan).size());
}

TEST(DefaultChecks, one_port_bound_twice_is_asked_once_and_names_stay_distinct) {
    const router::Plan plan =
        listening({{"db", *Endpoint::parse("0.0.0.0:3306"), Protocol::mysql},
                   {"db", *Endpoint::parse("127.0.0.1:3306"), Protocol::mysql},
                   {"db", *Endpoint::parse("0.0.0.0:3307"), Protocol::mysql}});
    const auto checks = checks_of(supervised(router::ProviderKind::haproxy), &plan);
    ASSERT_EQ(2U, checks.size());
    EXPECT_NE(checks[0].name, checks[1].name);
}

TEST(DefaultChecks, a_proxysql_must_know_a_server_that_is_online) {
    config::Config config = supervised(router::ProviderKind::proxysql);
    router::Plan plan = listening({});
    EXPECT_TRUE(checks_of(config, &plan).empty());
    plan.admin.address = *Endpoint::parse("127.0.0.1:6032");
    const auto checks = checks_of(config, &plan);
    ASSERT_EQ(1U, checks.size());
    EXPECT_EQ("mysql 127.0.0.1:6032", target(checks[0]));
}

TEST(DefaultChecks, the_operators_own_replace_them) {
    config::Config config = supervised(router::ProviderKind::haproxy);
    health::CheckSpec own;
    own.name = "own";
    config.health.push_back({own, ""});
    const router::Plan plan =
        listening({{"rw", *Endpoint::parse("0.0.0.0:3306"), Protocol::mysql}});
    const auto checks = checks_of(config, &plan);
    ASSERT_EQ(1U, checks.size());
    EXPECT_EQ("own", checks[0].name);
}

TEST(Files, stand_beside_the_socket_and_are_named_after_it) {
    const Files files("/run/hamr/router1.sock");
    EXPECT_EQ("/run/hamr", files.directory);
    EXPECT_EQ("/run/hamr/router1.history.jsonl", files.history);
    EXPECT_EQ("/run/hamr/router1.sysctls", files.sysctls);
    EXPECT_EQ("/run/hamr/router1.router", files.router);
    EXPECT_EQ("/var/lib/hamr/shop.router1.drained",
              drained_file("/var/lib/hamr", "shop", "router1"));
}

}  // namespace
}  // namespace hamr::daemon
