// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/provider.hpp"
#include "tests/unit/router/provider_listeners.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {
namespace {

using test::config_of;
using test::lines_of;
using test::plan_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Plan haproxy(std::string_view text) {
    return plan_of(config_of(ProviderKind::haproxy), text);
}

// Debian 12's own file.
constexpr const char* debian = R"(global
	log /dev/log	local0
	log /dev/log	local1 notice
	chroot /var/lib/haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin
	stats timeout 30s
	user haproxy
	group haproxy
	daemon

	# Default SSL material locations
	ca-base /etc/ssl/certs
	crt-base /etc/ssl/private
        ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets

defaults
	log	global
	mode	http
	option	httplog
	option	dontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000
	errorfile 400 /etc/haproxy/errors/400.http
)";

TEST(ProviderHaproxyTest, debians_file_with_what_people_append_for_galera) {
    const Plan plan = haproxy(std::string(debian) + R"(
listen galera_write
    bind 0.0.0.0:3306
    mode tcp
    option tcpka
    option httpchk
    balance source
    timeout client  10800s
    timeout server  10800s
    default-server port 9200 inter 2s downinter 5s rise 3 fall 2 slowstart 60s maxconn 64
    server db1 192.0.2.21:3306 check
    server db2 192.0.2.22:3306 check backup

frontend galera_read
    bind *:3307
    mode tcp
    default_backend readers
backend readers
    mode tcp
    balance leastconn
    option mysql-check user haproxy
    server db1 192.0.2.21:3306 check

listen stats
    bind *:8404
    stats enable
    stats uri /
    stats refresh 10s
)");
    EXPECT_THAT(lines_of(plan),
                ElementsAre("galera_write 0.0.0.0:3306 mysql", "galera_read 0.0.0.0:3307 mysql",
                            "stats 0.0.0.0:8404 http"));
    EXPECT_EQ(plan.stats_socket, "/run/haproxy/admin.sock");
    EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(ProviderHaproxyTest, it_runs_as_a_master_in_the_foreground) {
    ProviderConfig config = config_of(ProviderKind::haproxy);
    config.config = "/etc/haproxy/conf.d";
    config.arguments = {"-f", "/etc/haproxy/more.cfg"};
    const Plan plan = plan_of(config, debian);
    EXPECT_THAT(plan.argv, ElementsAre("/usr/sbin/haproxy", "-W", "-db", "-dR", "-f",
                                       "/etc/haproxy/conf.d", "-f", "/etc/haproxy/more.cfg"));
    EXPECT_THAT(plan.judge, ElementsAre("/usr/sbin/haproxy", "-c", "-f", "/etc/haproxy/conf.d",
                                        "-f", "/etc/haproxy/more.cfg"));
    EXPECT_EQ(std::get<SendSignal>(plan.reload).number, 12);
    EXPECT_EQ(std::get<SendSignal>(plan.finish).number, 10);
    EXPECT_EQ(std::get<SendSignal>(plan.stop).number, 15);
    EXPECT_TRUE(plan.ends_when_finished);
    config.arguments = {"-D"};
    EXPECT_THAT(make_plan(config, debian).error().what, HasSubstr("background"));
}

struct BindRow {
    const char* name;
    const char* bind;
    std::vector<std::string> listeners;
};

class ProviderHaproxyBindTest : public testing::TestWithParam<BindRow> {};

TEST_P(ProviderHaproxyBindTest, gives) {
    const Plan plan = haproxy(std::string("listen l\n bind ") + GetParam().bind + "\n");
    std::vector<std::string> listeners;
    for (const std::string& line : lines_of(plan)) listeners.push_back(line.substr(2));
    EXPECT_EQ(listeners, GetParam().listeners);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, ProviderHaproxyBindTest,
    testing::Values(
        BindRow{"port_only", ":3306", {"0.0.0.0:3306 mysql"}},
        BindRow{"star", "*:3306", {"0.0.0.0:3306 mysql"}},
        BindRow{"address", "192.0.2.11:3306", {"192.0.2.11:3306 mysql"}},
        BindRow{"several",
                "192.0.2.11:3306,192.0.2.12:3307",
                {"192.0.2.11:3306 mysql", "192.0.2.12:3307 mysql"}},
        BindRow{"all_of_ipv6", ":::3306 v4v6", {"[::]:3306 mysql"}},
        BindRow{"ipv6", "2001:db8::11:3306", {"[2001:db8::11]:3306 mysql"}},
        BindRow{"brackets", "[2001:db8::11]:3306", {"[2001:db8::11]:3306 mysql"}},
        BindRow{"ipv4_at", "ipv4@:3306", {"0.0.0.0:3306 mysql"}},
        BindRow{"ipv6_at", "ipv6@:3306", {"[::]:3306 mysql"}},
        BindRow{"ipv6_at_star", "ipv6@*:3306", {"[::]:3306 mysql"}},
        BindRow{"tcp_at", "tcp@192.0.2.11:3306", {"192.0.2.11:3306 mysql"}},
        BindRow{"range",
                ":3306-3308",
                {"0.0.0.0:3306 mysql", "0.0.0.0:3307 mysql", "0.0.0.0:3308 mysql"}},
        BindRow{"backward_range", ":3308-3306", {}},
        BindRow{"quoted", "\"192.0.2.11:3306\"", {"192.0.2.11:3306 mysql"}},
        BindRow{"comment", ":3306 # not :3307", {"0.0.0.0:3306 mysql"}},
        BindRow{"options", ":3306 maxconn 100 tfo defer-accept", {"0.0.0.0:3306 mysql"}},
        BindRow{"unix", "unix@/run/a.sock", {}},
        BindRow{"unix_path", "/run/a.sock,:3306", {"0.0.0.0:3306 mysql"}},
        BindRow{"abstract", "abns@hapee:3306", {}}, BindRow{"inherited_descriptor", "fd@3", {}},
        BindRow{"quic", "quic4@:443", {}}, BindRow{"name", "router1.example:3306", {}},
        BindRow{"variable", "\"${VIP}:3306\"", {}}, BindRow{"open_quote", "\"192.0.2.11:3306", {}},
        BindRow{"no_port", "192.0.2.11", {}}, BindRow{"port_0", ":0", {}},
        BindRow{"wrong_family", "ipv6@192.0.2.11:3306", {}},
        BindRow{"one_interface", ":3306 interface eth1", {}},
        BindRow{"tls", ":3306 ssl crt /etc/x.pem", {"0.0.0.0:3306 other"}},
        BindRow{"proxy_protocol", ":3306 accept-proxy", {"0.0.0.0:3306 other"}},
        BindRow{"https", ":443", {"0.0.0.0:443 other"}}),
    [](const auto& row) { return row.param.name; });

TEST(ProviderHaproxyTest, the_mode_comes_from_the_section_or_its_defaults) {
    const Plan plan = haproxy(R"(
defaults web
    mode http
defaults database from web
    mode tcp
    default_backend cache
defaults
    mode http
frontend newest
    bind :1001
frontend named from web
    bind :1002
frontend said from web
    mode tcp
    bind :1003
listen inherited from database
    bind :1004
frontend postgres
    mode tcp
    bind :1005
    default_backend pg
backend pg
    option pgsql-check user postgres
listen off
    bind :1006
    disabled
backend not_listening
    bind :1007
)");
    EXPECT_THAT(lines_of(plan),
                ElementsAre("newest 0.0.0.0:1001 http", "named 0.0.0.0:1002 http",
                            "said 0.0.0.0:1003 mysql", "inherited 0.0.0.0:1004 mysql",
                            "postgres 0.0.0.0:1005 other"));
}

TEST(ProviderHaproxyTest, what_depends_on_a_condition_is_left_out) {
    const Plan plan = haproxy(R"(
global
.if defined(STATS)
    stats socket /run/maybe.sock level admin
.endif
frontend sure
    bind :1001
    .if streq("$SITE",a)
    bind :1002
    .elif feature(OPENSSL)
    bind :1003
    .endif
    bind :1004
frontend unsure
    bind :1005
    .if version_atleast(2.5)
    mode http
    .endif
.if defined(MORE)
frontend maybe
    bind :1006
.endif
    bind :1007
listen after
    bind :1008
)");
    EXPECT_THAT(lines_of(plan),
                ElementsAre("sure 0.0.0.0:1001 mysql", "sure 0.0.0.0:1004 mysql",
                            "unsure 0.0.0.0:1005 other", "after 0.0.0.0:1008 mysql"));
    EXPECT_EQ(plan.stats_socket, "");
}

TEST(ProviderHaproxyTest, a_line_that_begins_with_an_empty_word_is_none) {
    const Plan plan = haproxy("global\n'' x\n\"\"\nlisten a\n '' .if x\n mode tcp\n bind :3306\n");
    EXPECT_THAT(lines_of(plan), ElementsAre("a 0.0.0.0:3306 mysql"));
}

TEST(ProviderHaproxyTest, the_stats_socket_that_may_most_is_taken) {
    EXPECT_EQ(haproxy("global\n stats socket /run/a\n stats socket unix@/run/b level admin\n"
                      " stats socket /run/c level admin\n")
                  .stats_socket,
              "/run/b");
    EXPECT_EQ(haproxy("global\n stats socket ipv4@127.0.0.1:9999 level admin\n"
                      " stats socket /run/a\n")
                  .stats_socket,
              "/run/a");
    EXPECT_EQ(haproxy("global\n stats socket \"$RUN/a\" level admin\n").stats_socket, "");
}

TEST(ProviderHaproxyTest, what_the_operator_should_know) {
    const Plan empty = haproxy("");
    ASSERT_THAT(empty.warnings, SizeIs(2));
    EXPECT_THAT(empty.warnings[0], HasSubstr("/etc/haproxy/haproxy.cfg has no frontend or listen"));
    EXPECT_THAT(empty.warnings[1], HasSubstr("stats socket"));
    const Plan stubborn = haproxy(
        "global\n master-worker no-exit-on-failure\n stats socket /run/a level admin\n"
        "listen l\n bind :3306\n");
    ASSERT_THAT(stubborn.warnings, SizeIs(1));
    EXPECT_THAT(stubborn.warnings[0], HasSubstr("no-exit-on-failure"));
}

}  // namespace
}  // namespace hamr::router
