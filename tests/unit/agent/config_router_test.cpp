// SPDX-License-Identifier: GPL-2.0-or-later
// `router:` of the supervised kinds: what each knows, what it comes to, what is refused.
#include "agent/config/config.hpp"
#include "tests/unit/agent/config_rows.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

using router::ProviderKind;
using router::StartWhen;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::embedded;
using test::Row;
using testing::ElementsAre;
using testing::IsEmpty;

Router router_of(const std::string& settings) {
    return parse(embedded(settings), "f").config.router;
}

TEST(SupervisedRouter, TheSmallestOfEachKindHasItsDefaults) {
    struct Smallest {
        std::string text;
        ProviderKind kind;
        std::string config;
    };
    const Smallest rows[] = {
        {"kind: mysqlrouter", ProviderKind::mysqlrouter, "/etc/mysqlrouter/mysqlrouter.conf"},
        {"kind: haproxy", ProviderKind::haproxy, "/etc/haproxy/haproxy.cfg"},
        {"kind: proxysql", ProviderKind::proxysql, "/etc/proxysql.cnf"},
        {"kind: systemd, unit: haproxy.service", ProviderKind::systemd, ""},
        {"kind: command, command: [/usr/bin/r]", ProviderKind::command, ""},
    };
    for (const Smallest& row : rows) {
        const Router router = router_of(row.text);
        EXPECT_EQ(router.kind, RouterKind::supervised) << row.text;
        EXPECT_EQ(router.kind_name(), row.text.substr(6, row.text.find(',') - 6));
        router::ProviderConfig expected;
        expected.kind = row.kind;
        expected.config = row.config;
        if (row.kind == ProviderKind::systemd) expected.unit = "haproxy.service";
        if (row.kind == ProviderKind::command) expected.command = {"/usr/bin/r"};
        EXPECT_EQ(router.provider, expected) << row.text;
        EXPECT_EQ(expected.start_timeout, seconds(10));
        EXPECT_EQ(expected.stop_timeout, seconds(10));
        EXPECT_EQ(expected.drain_timeout, seconds(60));
    }
}

TEST(SupervisedRouter, EverySetting) {
    const Router haproxy = router_of(
        "kind: haproxy, config: /etc/haproxy/sql.cfg, program: /opt/haproxy, user: haproxy, "
        "arguments: [-L, 'left peer'], start: leader, start_timeout: 3s, stop_timeout: 500ms, "
        "drain_timeout: 5m");
    EXPECT_EQ(haproxy.provider.config, "/etc/haproxy/sql.cfg");
    EXPECT_EQ(haproxy.provider.program, "/opt/haproxy");
    EXPECT_EQ(haproxy.provider.user, "haproxy");
    EXPECT_THAT(haproxy.provider.arguments, ElementsAre("-L", "left peer"));
    EXPECT_EQ(haproxy.provider.start, StartWhen::leader);
    EXPECT_EQ(haproxy.provider.start_timeout, seconds(3));
    EXPECT_EQ(haproxy.provider.stop_timeout, milliseconds(500));
    EXPECT_EQ(haproxy.provider.drain_timeout, seconds(300));

    const Router proxysql = router_of(
        "kind: proxysql, admin: {address: 127.0.0.1:6032, user: admin, password_file: /p}");
    EXPECT_EQ(proxysql.provider.admin.address, Endpoint::parse("127.0.0.1:6032"));
    EXPECT_EQ(proxysql.provider.admin.user, "admin");
    EXPECT_EQ(proxysql.admin_password_file, "/p");
    EXPECT_THAT(proxysql.provider.admin.password, IsEmpty());

    const Router command = router_of(
        "kind: command, command: [/usr/bin/r, --port, 6446], reload_command: [/bin/kill-r, now], "
        "user: nobody, start: always, drain_timeout: 0s");
    EXPECT_THAT(command.provider.command, ElementsAre("/usr/bin/r", "--port", "6446"));
    EXPECT_THAT(command.provider.reload_command, ElementsAre("/bin/kill-r", "now"));
    EXPECT_EQ(command.provider.drain_timeout, seconds(0));

    const Router unit = router_of("kind: systemd, unit: 'mysqlrouter@left.service'");
    EXPECT_EQ(unit.provider.unit, "mysqlrouter@left.service");
}

TEST(SupervisedRouter, TheEmbeddedOneDrainsToo) {
    const Router router = router_of(
        "backends: 192.0.2.21:3306, drain_timeout: 5s, "
        "monitor: {user: u}");
    EXPECT_EQ(router.kind_name(), "embedded");
    EXPECT_EQ(router.provider.drain_timeout, seconds(5));
}

const Row rows[] = {
    {"kind_word",
     embedded("kind: keepalived"),
     {"f:5:16: router.kind: unknown word \"keepalived\"; choose from embedded, none, mysqlrouter, "
      "haproxy, proxysql, systemd, command"}},
    {"kind_misspelt_hides_nothing",
     embedded("kind: haproxi, unit: x"),
     {"f:5:16: router.kind: unknown word \"haproxi\"; did you mean \"haproxy\"?",
      "f:5:25: router.unit has no meaning with kind: haproxy (it belongs to systemd); remove it"}},
    {"key_misspelt",
     embedded("kind: haproxy, confg: /c"),
     {"f:5:25: unknown key \"confg\"; did you mean \"config\"?"}},
    {"key_unknown",
     embedded("kind: systemd, unit: a.service, colour: red"),
     {"f:5:42: unknown key \"colour\"; known here: kind, unit, start, start_timeout, "
      "stop_timeout, drain_timeout"}},
    {"none_with_backends",
     embedded("kind: none, backends: [192.0.2.21:3306]"),
     {"f:5:22: router.backends has no meaning with kind: none; remove it"}},
    {"none_with_nonsense",
     embedded("kind: none, colour: red"),
     {"f:5:22: router.colour has no meaning with kind: none; remove it"}},
    {"haproxy_with_backends",
     embedded("kind: haproxy, backends: [192.0.2.21:3306]"),
     {"f:5:25: router.backends has no meaning with kind: haproxy, whose own configuration says "
      "that; remove it"}},
    {"embedded_with_config",
     embedded(test::backends + ", " + test::monitor + ", config: /c"),
     {"f:5:78: router.config has no meaning with kind: embedded (it belongs to mysqlrouter, "
      "haproxy, proxysql); remove it"}},
    {"relative_config",
     embedded("kind: haproxy, config: haproxy.cfg"),
     {"f:5:33: router.config: \"haproxy.cfg\" is not an absolute path; begin it with /"}},
    {"arguments_as_a_string",
     embedded("kind: haproxy, arguments: -L left"),
     {"f:5:36: router.arguments must be a list, since no shell takes a string apart; write a list: "
      "[-L, left]"}},
    {"user_name",
     embedded("kind: haproxy, user: 'ha proxy'"),
     {"f:5:31: router.user: \"ha proxy\" cannot be a user's name; see `getent passwd`"}},
    {"systemd_without_unit",
     embedded("kind: systemd"),
     {"f:5:9: router.unit is missing; write, for example: unit: haproxy.service"}},
    {"unit_without_suffix",
     embedded("kind: systemd, unit: haproxy"),
     {"f:5:31: router.unit: \"haproxy\" is not a service; write haproxy.service"}},
    {"unit_of_another_type",
     embedded("kind: systemd, unit: haproxy.socket"),
     {"f:5:31: router.unit: \"haproxy.socket\" is not a service; write its name as `systemctl` "
      "shows it, as in haproxy.service"}},
    {"command_without_command",
     embedded("kind: command"),
     {"f:5:9: router.command is missing; write, for example: command: [/usr/sbin/my-router, "
      "--foreground]"}},
    {"command_as_a_string",
     embedded("kind: command, command: /usr/bin/r  -f /c"),
     {"f:5:34: router.command must be a list, since no shell takes a string apart; write a list: "
      "[/usr/bin/r, -f, /c]"}},
    {"command_with_shell",
     embedded("kind: command, command: '/usr/bin/r | logger'"),
     {"f:5:34: router.command must be a list, since no shell takes a string apart; write a list, "
      "as in [/usr/bin/program, --option, value]"}},
    {"command_found_by_path",
     embedded("kind: command, command: [r, -f]"),
     {"f:5:35: router.command: \"r\" is not an absolute path; no PATH is searched, begin it with "
      "/"}},
    {"command_empty",
     embedded("kind: command, command: []"),
     {"f:5:34: router.command must have 1 to 64 entries, not 0"}},
    {"command_map",
     embedded("kind: command, command: {a: b}"),
     {"f:5:34: router.command must be a list, not a map"}},
    {"admin_of_haproxy",
     embedded("kind: haproxy, admin: {user: u}"),
     {"f:5:25: router.admin has no meaning with kind: haproxy (it belongs to proxysql); remove "
      "it"}},
    {"admin_password",
     embedded("kind: proxysql, admin: {user: u, password: secret}"),
     {"f:5:43: router.admin.password: no secret stands in this file; write it into a file of its "
      "own and name that with password_file"}},
    {"admin_without_user",
     embedded("kind: proxysql, admin: {password_file: /p}"),
     {"f:5:33: router.admin.user is missing; write, for example: user: admin"}},
    {"admin_host_name",
     embedded("kind: proxysql, admin: {address: 'localhost:6032'}"),
     {"f:5:43: router.admin.address: \"localhost:6032\" names its host, and names are not "
      "resolved; write its numeric address, as in 127.0.0.1:6032"}},
    {"admin_word",
     embedded("kind: proxysql, admin: secret"),
     {"f:5:33: router.admin must be a map, not a single value; write, for example: admin: "
      "{address: 127.0.0.1:6032, user: admin, password_file: /etc/hamr/proxysql.password}"}},
    {"start_word",
     embedded("kind: haproxy, start: leading"),
     {"f:5:32: router.start: unknown word \"leading\"; choose from always, leader"}},
    {"times",
     embedded("kind: haproxy, start_timeout: 1h, stop_timeout: 10, drain_timeout: 2000m"),
     {"f:5:40: router.start_timeout: \"1h\" is not a duration; write, for example, 100ms (units: "
      "us, ms, s, m)",
      "f:5:58: router.stop_timeout: 10 has no unit; write 10ms or 10s (units: us, ms, s, m)",
      "f:5:77: router.drain_timeout must be from 0s to 1440m, not 2000m"}},
    {"start_timeout_of_the_embedded",
     embedded(test::backends + ", " + test::monitor + ", start_timeout: 1s"),
     {"f:5:78: router.start_timeout has no meaning with kind: embedded (it belongs to "
      "mysqlrouter, haproxy, proxysql, systemd, command); remove it"}},
};

class BadRouter : public testing::TestWithParam<Row> {};

TEST_P(BadRouter, SaysWhatWhereAndWhatToWrite) {
    EXPECT_EQ(test::problems_of(GetParam().file), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(Rows, BadRouter, testing::ValuesIn(rows), test::row_name);

}  // namespace
}  // namespace hamr::config
