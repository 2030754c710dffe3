// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/provider.hpp"

#include "base/prng.hpp"
#include "tests/unit/router/provider_listeners.hpp"

#include <array>

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

// As MySQL Router 9 writes it for `--bootstrap root@… --user mysqlrouter`.
constexpr const char* bootstrapped = R"(# File automatically generated during MySQL Router bootstrap
[DEFAULT]
name=system
user=mysqlrouter
keyring_path=/var/lib/mysqlrouter/keyring
master_key_path=/etc/mysqlrouter/mysqlrouter.key
connect_timeout=5
read_timeout=30
dynamic_state=/var/lib/mysqlrouter/state.json
client_ssl_cert=/var/lib/mysqlrouter/router-cert.pem
client_ssl_key=/var/lib/mysqlrouter/router-key.pem
client_ssl_mode=PREFERRED
server_ssl_mode=PREFERRED
server_ssl_verify=DISABLED
unknown_config_option=error
max_idle_server_connections=64
router_require_enforce=1

[logger]
level=INFO

[metadata_cache:bootstrap]
cluster_type=gr
router_id=1
user=mysql_router1_7k2h
metadata_cluster=shop
ttl=0.5
auth_cache_ttl=-1
auth_cache_refresh_interval=2
use_gr_notifications=0

[routing:bootstrap_rw]
bind_address=0.0.0.0
bind_port=6446
destinations=metadata-cache://shop/?role=PRIMARY
routing_strategy=first-available
protocol=classic

[routing:bootstrap_ro]
bind_address=0.0.0.0
bind_port=6447
destinations=metadata-cache://shop/?role=SECONDARY
routing_strategy=round-robin-with-fallback
protocol=classic

[routing:bootstrap_rw_split]
bind_address=0.0.0.0
bind_port=6450
destinations=metadata-cache://shop/?role=PRIMARY_AND_SECONDARY
routing_strategy=round-robin
protocol=classic
connection_sharing=1
client_ssl_mode=PREFERRED
server_ssl_mode=PREFERRED
access_mode=auto

[routing:bootstrap_x_rw]
bind_address=0.0.0.0
bind_port=6448
destinations=metadata-cache://shop/?role=PRIMARY
routing_strategy=first-available
protocol=x
router_require_enforce=0
client_ssl_ca=
server_ssl_key=
server_ssl_cert=

[routing:bootstrap_x_ro]
bind_address=0.0.0.0
bind_port=6449
destinations=metadata-cache://shop/?role=SECONDARY
routing_strategy=round-robin-with-fallback
protocol=x

[http_server]
port=8443
ssl=1
ssl_cert=/var/lib/mysqlrouter/router-cert.pem
ssl_key=/var/lib/mysqlrouter/router-key.pem

[http_auth_realm:default_auth_realm]
backend=default_auth_backend
method=basic
name=default_realm

[rest_router]
require_realm=default_auth_realm
)";

TEST(ProviderMysqlrouterTest, a_bootstrapped_file_tells_every_port) {
    const Plan plan = plan_of(config_of(ProviderKind::mysqlrouter), bootstrapped);
    EXPECT_THAT(lines_of(plan), ElementsAre("bootstrap_rw 0.0.0.0:6446 mysql",        //
                                            "bootstrap_ro 0.0.0.0:6447 mysql",        //
                                            "bootstrap_rw_split 0.0.0.0:6450 mysql",  //
                                            "bootstrap_x_rw 0.0.0.0:6448 mysql_x",    //
                                            "bootstrap_x_ro 0.0.0.0:6449 mysql_x",    //
                                            "http_server 0.0.0.0:8443 other"));
    EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(ProviderMysqlrouterTest, a_pid_file_that_a_power_cut_left_never_keeps_it_down) {
    ProviderConfig config = config_of(ProviderKind::mysqlrouter);
    config.arguments = {"--extra-config", "/etc/mysqlrouter/more.conf"};
    config.user = "mysqlrouter";
    const Plan plan = plan_of(config, "[DEFAULT]\npid_file=/run/mysqlrouter/mysqlrouter.pid\n");
    EXPECT_THAT(plan.argv,
                ElementsAre("/usr/bin/mysqlrouter", "-c", "/etc/mysqlrouter/mysqlrouter.conf",
                            "--pid-file=/dev/null", "--logger.sinks=consolelog,filelog",
                            "--extra-config", "/etc/mysqlrouter/more.conf"));
    EXPECT_EQ(plan.user, "mysqlrouter");
}

TEST(ProviderMysqlrouterTest, why_it_ends_is_heard_wherever_it_logs) {
    const auto last = [](std::string_view file) {
        return plan_of(config_of(ProviderKind::mysqlrouter), file).argv.back();
    };
    EXPECT_EQ(last("[DEFAULT]\nlogging_folder=/var/log\n"), "--logger.sinks=consolelog,filelog");
    EXPECT_EQ(last("[logger]\nsinks = filelog,syslog\n"),
              "--logger.sinks=consolelog,filelog,syslog");
    EXPECT_EQ(last("[logger]\nsinks = filelog,consolelog\n"), "--pid-file=/dev/null");
    EXPECT_EQ(last("[DEFAULT]\nlogging_folder=\n"), "--pid-file=/dev/null");
}

TEST(ProviderMysqlrouterTest, it_can_only_be_stopped_and_started) {
    const Plan plan = plan_of(config_of(ProviderKind::mysqlrouter), bootstrapped);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(plan.reload));
    EXPECT_TRUE(std::holds_alternative<std::monostate>(plan.finish));
    EXPECT_EQ(std::get<SendSignal>(plan.stop).number, 15);
    EXPECT_THAT(plan.judge, IsEmpty());
}

TEST(ProviderMysqlrouterTest, addresses_in_all_their_forms) {
    const Plan plan = plan_of(config_of(ProviderKind::mysqlrouter), R"(
[Default]
Bind_Address : ::1
; a comment
[routing:inherits]
bind_port = 6446
[ROUTING:own_port]
bind_address = 192.0.2.11:7001
[routing:bracketed]
bind_address = [2001:db8::11]:7002
[routing:wildcard]
bind_address = ::
bind_port = 7003
[routing:only_a_socket]
socket = /run/mysqlrouter/mysql.sock
[routing:named]
bind_address = router1.example
bind_port = 7004
[routing:unknown]
bind_address = {somewhere}
bind_port = 7005
[routing]
bind_address = 192.0.2.11
bind_port = 7006
protocol = new
[http_server]
bind_address = 127.0.0.1
)");
    EXPECT_THAT(lines_of(plan),
                ElementsAre("inherits [::1]:6446 mysql", "own_port 192.0.2.11:7001 mysql",
                            "bracketed [2001:db8::11]:7002 mysql", "wildcard [::]:7003 mysql",
                            "routing 192.0.2.11:7006 other", "http_server 127.0.0.1:8081 http"));
}

TEST(ProviderMysqlrouterTest, a_file_without_routes_is_a_warning) {
    const Plan plan = plan_of(config_of(ProviderKind::mysqlrouter), "[http_server]\nport=8081\n");
    ASSERT_THAT(plan.warnings, SizeIs(1));
    EXPECT_THAT(plan.warnings[0], HasSubstr("/etc/mysqlrouter/mysqlrouter.conf has no [routing]"));
}

// As ProxySQL's package installs it, shortened.
constexpr const char* proxysql_default = R"(#file proxysql.cfg
datadir="/var/lib/proxysql"
errorlog="/var/lib/proxysql/proxysql.log"

admin_variables=
{
	admin_credentials="admin:admin"
#	mysql_ifaces="127.0.0.1:6032;/tmp/proxysql_admin.sock"
	mysql_ifaces="0.0.0.0:6032"
#	refresh_interval=2000
}

mysql_variables=
{
	threads=4
	max_connections=2048
	have_compress=true
#	interfaces="0.0.0.0:6033;/tmp/proxysql.sock"
	interfaces="0.0.0.0:6033"
	default_schema="information_schema"
	server_version="8.0.4"
	monitor_username="monitor"
	monitor_password="monitor"
}

mysql_servers =
(
#	{
#		address = "127.0.0.1" # no default, required
#	},
	{ address="192.0.2.21" , port=3306 , hostgroup=0, max_connections=5 , interfaces="9.9.9.9:1" }
)
mysql_users:
(
	{ username = "app" , password = "secret" , default_hostgroup = 0 , active = 1 }
)
)";

TEST(ProviderProxysqlTest, the_packaged_file) {
    const Plan plan = plan_of(config_of(ProviderKind::proxysql), proxysql_default);
    EXPECT_THAT(plan.argv, ElementsAre("/usr/bin/proxysql", "-f", "-c", "/etc/proxysql.cnf"));
    EXPECT_THAT(lines_of(plan), ElementsAre("mysql 0.0.0.0:6033 mysql"));
    ASSERT_TRUE(plan.admin.address);
    EXPECT_EQ(plan.admin.address->to_string(), "127.0.0.1:6032");
    EXPECT_EQ(plan.admin.user, "admin");
    EXPECT_EQ(plan.admin.password, "admin");
    EXPECT_THAT(plan.warnings, IsEmpty());
    EXPECT_EQ(std::get<AdminCommand>(plan.finish).text, "PROXYSQL PAUSE");
    EXPECT_EQ(std::get<AdminCommand>(plan.resume).text, "PROXYSQL RESUME");
    EXPECT_FALSE(plan.ends_when_finished);
    EXPECT_THAT(std::get<AdminCommand>(plan.reload).text,
                HasSubstr("LOAD MYSQL SERVERS FROM CONFIG; LOAD MYSQL SERVERS TO RUNTIME"));
}

TEST(ProviderProxysqlTest, the_format_in_all_its_forms) {
    const Plan plan = plan_of(config_of(ProviderKind::proxysql), R"(
mysql_variables : { // a comment with "quotes" and { braces
    /* interfaces = "192.0.2.1:1" */ nested = { interfaces = "192.0.2.2:2"; };
    interfaces : "192.0.2.11:3306;" "[2001:db8::11]:3306;"
                 "/tmp/a.sock; 192.0.2.12:3307", threads = 4;
};
admin_variables = {
    admin_credentials = "stats:*0123456789ABCDEF;ops:a\"b:c", mysql_ifaces="[::]:7032" }
)");
    EXPECT_THAT(lines_of(plan),
                ElementsAre("mysql 192.0.2.11:3306 mysql", "mysql [2001:db8::11]:3306 mysql",
                            "mysql 192.0.2.12:3307 mysql"));
    EXPECT_EQ(plan.admin.address->to_string(), "[::1]:7032");
    EXPECT_EQ(plan.admin.user, "ops");
    EXPECT_EQ(plan.admin.password, "a\"b:c");
}

TEST(ProviderProxysqlTest, the_operators_words_count_more_than_the_file) {
    ProviderConfig config = config_of(ProviderKind::proxysql);
    config.admin = {Endpoint::parse("127.0.0.1:7777"), "ops", "word"};
    EXPECT_EQ(plan_of(config, proxysql_default).admin, config.admin);
    config.admin.address.reset();
    EXPECT_EQ(plan_of(config, proxysql_default).admin.address->to_string(), "127.0.0.1:6032");
    EXPECT_EQ(plan_of(config, proxysql_default).admin.user, "ops");
}

TEST(ProviderProxysqlTest, an_empty_file_means_its_own_defaults) {
    const Plan plan = plan_of(config_of(ProviderKind::proxysql), "");
    EXPECT_THAT(lines_of(plan), ElementsAre("mysql 0.0.0.0:6033 mysql"));
    EXPECT_EQ(plan.admin.address->to_string(), "127.0.0.1:6032");
}

TEST(ProviderProxysqlTest, an_admin_interface_that_cannot_be_reached_is_a_warning) {
    const Plan plan = plan_of(config_of(ProviderKind::proxysql),
                              "admin_variables={mysql_ifaces=\"/tmp/admin.sock\"}");
    ASSERT_THAT(plan.warnings, SizeIs(1));
    EXPECT_THAT(plan.warnings[0], HasSubstr("router.admin"));
}

TEST(ProviderSystemdTest, a_unit_is_all_it_needs) {
    ProviderConfig config = config_of(ProviderKind::systemd);
    EXPECT_THAT(make_plan(config, "").error().what, HasSubstr("unit: haproxy.service"));
    config.unit = "haproxy";
    const Plan plan = plan_of(config, "");
    EXPECT_EQ(plan.unit, "haproxy.service");
    EXPECT_THAT(plan.argv, IsEmpty());
    config.unit = "mysqlrouter@shop.service";
    EXPECT_EQ(plan_of(config, "").unit, "mysqlrouter@shop.service");
    config.unit = "/etc/init.d/haproxy";
    EXPECT_FALSE(make_plan(config, ""));
}

TEST(ProviderCommandTest, the_program_as_it_is_written) {
    ProviderConfig config = config_of(ProviderKind::command);
    EXPECT_THAT(make_plan(config, "").error().what, HasSubstr("needs `command`"));
    config.command = {"/usr/local/bin/tiproxy", "--config=/etc/tiproxy.toml"};
    config.arguments = {"-v"};
    const Plan plan = plan_of(config, "");
    EXPECT_EQ(plan.name, "tiproxy");
    EXPECT_THAT(plan.argv,
                ElementsAre("/usr/local/bin/tiproxy", "--config=/etc/tiproxy.toml", "-v"));
    EXPECT_EQ(std::get<SendSignal>(plan.reload).number, 1);
    config.reload_command = {"/usr/local/bin/tiproxyctl", "reload"};
    EXPECT_EQ(std::get<RunCommand>(plan_of(config, "").reload).argv, config.reload_command);
    config.command = {"/usr/local/bin/"};
    EXPECT_FALSE(make_plan(config, ""));
}

TEST(ProviderTest, every_kind_knows_its_usual_file) {
    EXPECT_EQ(config_path(config_of(ProviderKind::haproxy)), "/etc/haproxy/haproxy.cfg");
    EXPECT_EQ(config_path(config_of(ProviderKind::systemd)), "");
    ProviderConfig config = config_of(ProviderKind::mysqlrouter);
    config.config = "/srv/router/mysqlrouter.conf";
    EXPECT_EQ(config_path(config), config.config);
    config.program = "/opt/bin/mysqlrouter";
    EXPECT_EQ(plan_of(config, "").argv[0], "/opt/bin/mysqlrouter");
    EXPECT_EQ(plan_of(config, "").argv[2], config.config);
}

TEST(ProviderTest, nonsense_is_read_to_its_end) {
    constexpr std::array<std::string_view, 40> pieces{"[",
                                                      "]",
                                                      "\n",
                                                      "bind",
                                                      " ",
                                                      ":",
                                                      "=",
                                                      "{",
                                                      "}",
                                                      "(",
                                                      "\"",
                                                      "'",
                                                      "\\",
                                                      "#",
                                                      "/*",
                                                      "//",
                                                      "routing",
                                                      "listen",
                                                      "defaults",
                                                      "from",
                                                      "frontend",
                                                      "global",
                                                      "mode",
                                                      "stats",
                                                      "socket",
                                                      "unix@",
                                                      ".if",
                                                      ".endif",
                                                      "1-65535",
                                                      "65536",
                                                      ",",
                                                      "$",
                                                      "*",
                                                      "::",
                                                      "\0\xff",
                                                      "interfaces",
                                                      "mysql_variables",
                                                      "bind_port",
                                                      ";",
                                                      "@"};
    Prng prng(20261120);
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        const auto length = prng.below(60);
        for (std::uint64_t i = 0; i < length; ++i) {
            text += pieces[static_cast<std::size_t>(prng.below(pieces.size()))];
            if (prng.below(3) == 0) text += ' ';
        }
        for (const ProviderKind kind :
             {ProviderKind::mysqlrouter, ProviderKind::haproxy, ProviderKind::proxysql}) {
            const auto plan = make_plan(config_of(kind), text);
            ASSERT_TRUE(plan) << text;
            ASSERT_LE(plan->listeners.size(), max_listeners) << text;
        }
    }
}

TEST(ProviderTest, many_listeners_are_cut_off) {
    std::string text = "mysql_variables={interfaces=\"";
    std::string ini;
    for (int i = 1; i <= 1000; ++i) {
        text += "192.0.2.1:" + std::to_string(i) + ";";
        ini += "[routing:r" + std::to_string(i) + "]\nbind_port=" + std::to_string(i) + "\n";
    }
    EXPECT_THAT(plan_of(config_of(ProviderKind::proxysql), text + "\"}").listeners,
                SizeIs(max_listeners));
    EXPECT_THAT(plan_of(config_of(ProviderKind::mysqlrouter), ini).listeners,
                SizeIs(max_listeners));
    EXPECT_THAT(plan_of(config_of(ProviderKind::haproxy), "listen a\nbind :1-65535\n").listeners,
                SizeIs(max_listeners));
}

}  // namespace
}  // namespace hamr::router
