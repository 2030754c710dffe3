// SPDX-License-Identifier: GPL-2.0-or-later
// `health:`: what each kind of check comes to, its defaults, and what is refused.
#include "agent/config/config.hpp"
#include "agent/config/kinds.hpp"
#include "tests/unit/agent/config_rows.hpp"

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

using health::CheckSpec;
using health::CommandProbe;
using health::HttpProbe;
using health::MysqlProbe;
using health::ProcessProbe;
using health::TcpProbe;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Row;
using test::with;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// A good file with these checks; the first one begins in line 6, column 10.
std::string checks(const std::string& list) {
    return with(6, "health: [" + list + "]");
}

std::vector<HealthCheck> read(const std::string& list) {
    return parse(checks(list), "f").config.health;
}

CheckSpec one(const std::string& settings) {
    const auto all = read("{" + settings + "}");
    EXPECT_THAT(all, SizeIs(1));
    return all.at(0).spec;
}

Endpoint at(const char* text) {
    return Endpoint::parse(text).value();
}

TEST(HealthChecks, TheExampleOfTheDesign) {
    const CheckSpec spec = one(
        "kind: mysql, target: 127.0.0.1:6446, interval: 500ms, timeout: 300ms, fall: 2, rise: 2");
    MysqlProbe probe;
    probe.target = at("127.0.0.1:6446");
    EXPECT_EQ(spec, (CheckSpec{"mysql 127.0.0.1:6446", probe, milliseconds(500), milliseconds(300),
                               milliseconds(50), 2, 2, 100}));
}

TEST(HealthChecks, DefaultsFollowTheInterval) {
    const CheckSpec spec = one("kind: tcp, target: 127.0.0.1:1");
    EXPECT_EQ(spec, (CheckSpec{"tcp 127.0.0.1:1", TcpProbe{at("127.0.0.1:1")}, seconds(1),
                               seconds(1), milliseconds(100), 2, 2, 100}));
    const CheckSpec quick = one("kind: tcp, target: 127.0.0.1:1, interval: 200ms");
    EXPECT_EQ(quick.timeout, milliseconds(200));
    EXPECT_EQ(quick.jitter, milliseconds(20));
    const CheckSpec slow = one("kind: tcp, target: 127.0.0.1:1, interval: 30s");
    EXPECT_EQ(slow.timeout, seconds(1));
    EXPECT_EQ(slow.jitter, seconds(3));
}

TEST(HealthChecks, EverySetting) {
    const auto all = read(
        "{kind: process, process: haproxy, pid_file: /run/haproxy.pid, name: HAProxy lives, "
        "fatal: true, jitter: 0s}, "
        "{kind: mysql, target: '[::1]:6446', user: hamr, password_file: /p, query: SELECT 2, tls: "
        "verified, ca_file: /ca.pem, weight: 0}, "
        "{kind: http, url: 'http://127.0.0.1:8404/health?full=1', user: u, password_file: /q, "
        "status: 204, contains: '\"isAlive\":true', rise: 3, fall: 60}, "
        "{kind: command, command: [/usr/lib/check_x, -w, '5'], user: nobody, warning_is_up: true, "
        "fatal: false}, {kind: tcp, target: 127.0.0.1:1, weight: 999999}");
    ASSERT_THAT(all, SizeIs(5));
    EXPECT_EQ(all[0].spec.name, "HAProxy lives");
    EXPECT_EQ(std::get<ProcessProbe>(all[0].spec.probe),
              (ProcessProbe{"haproxy", "/run/haproxy.pid"}));
    EXPECT_EQ(all[0].spec.weight, health::fatal_demotion);
    EXPECT_EQ(all[0].spec.jitter, seconds(0));
    EXPECT_EQ(std::get<MysqlProbe>(all[1].spec.probe),
              (MysqlProbe{at("[::1]:6446"), "hamr", "", "SELECT 2", MysqlProbe::Tls::verified,
                          "/ca.pem"}));
    EXPECT_EQ(all[1].password_file, "/p");
    EXPECT_EQ(all[1].spec.weight, 0U);
    EXPECT_EQ(std::get<HttpProbe>(all[2].spec.probe),
              (HttpProbe{at("127.0.0.1:8404"), "127.0.0.1:8404", "/health?full=1", "u", "", 204,
                         "\"isAlive\":true"}));
    EXPECT_EQ(all[2].password_file, "/q");
    EXPECT_EQ(all[2].spec.rise, 3U);
    EXPECT_EQ(all[2].spec.fall, 60U);
    EXPECT_EQ(std::get<CommandProbe>(all[3].spec.probe),
              (CommandProbe{{"/usr/lib/check_x", "-w", "5"}, "nobody", true}));
    EXPECT_EQ(all[3].spec.weight, 100U);
    EXPECT_EQ(all[4].spec.weight, 999'999U);
}

TEST(HealthChecks, AreCalledAfterWhatTheyAsk) {
    const auto all = read(
        "{kind: process, process: haproxy}, {kind: process, pid_file: /run/r.pid}, "
        "{kind: http, url: 'http://127.0.0.1'}, {kind: http, url: 'http://[::1]:81/x'}, "
        "{kind: command, command: [/usr/lib/check_x]}, {kind: mysql, target: '[::1]:1'}");
    std::vector<std::string> names;
    for (const HealthCheck& check : all) names.push_back(check.spec.name);
    EXPECT_THAT(names, ElementsAre("process haproxy", "process /run/r.pid", "http 127.0.0.1:80",
                                   "http [::1]:81/x", "command check_x", "mysql [::1]:1"));
    EXPECT_EQ(std::get<HttpProbe>(all[2].spec.probe).host, "127.0.0.1");
    EXPECT_EQ(std::get<HttpProbe>(all[2].spec.probe).path, "/");
    const std::string path(200, 'x');
    EXPECT_THAT(one("kind: http, url: 'http://127.0.0.1/" + path + "'").name, SizeIs(63));
}

TEST(HealthChecks, GoWithEveryKindOfRouter) {
    for (const char* router :
         {"kind: none", "kind: haproxy", "backends: 192.0.2.21:3306, monitor: {user: u}"}) {
        const std::string file =
            test::embedded(router) + "health: [{kind: tcp, target: 127.0.0.1:1}]\n";
        EXPECT_THAT(parse(file, "f").config.health, SizeIs(1)) << router;
    }
    EXPECT_THAT(parse(test::embedded("kind: haproxy"), "f").config.health, IsEmpty());
}

TEST(HealthChecks, KindsAreInTheOrderOfTheVariant) {
    const auto kinds = read(
        "{kind: process, process: a}, {kind: tcp, target: 127.0.0.1:1}, {kind: mysql, target: "
        "127.0.0.1:1}, {kind: http, url: 'http://127.0.0.1'}, {kind: command, command: [/a]}");
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        EXPECT_EQ(kinds[i].spec.probe.index(), i) << check_kinds[i];
    }
}

std::string many(std::size_t number) {
    std::string list;
    for (std::size_t i = 1; i <= number; ++i) {
        list += (i == 1 ? "{kind: tcp, target: '127.0.0.1:" : ", {kind: tcp, target: '127.0.0.1:") +
                std::to_string(i) + "'}";
    }
    return list;
}

const std::string name_rule =
    "\" cannot be a check's name; use 1 to 63 of A-Z a-z 0-9 _ . : / @ [ ] - and blanks, and begin "
    "with a letter or digit";

const Row rows[] = {
    {"no_list",
     with(6, "health: {kind: tcp, target: 127.0.0.1:1}"),
     {"f:6:9: health must be a list of checks, not a map; write, for example: health: [{kind: "
      "mysql, target: 127.0.0.1:6446}]"}},
    {"nothing",
     with(6, "health:"),
     {"f:6:1: health must be a list of checks, not nothing; write, for example: health: [{kind: "
      "mysql, target: 127.0.0.1:6446}]"}},
    {"empty", checks(""), {"f:6:9: health must have 1 to 32 entries, not 0"}},
    {"too_many", checks(many(33)), {"f:6:9: health must have 1 to 32 entries, not 33"}},
    {"no_map",
     checks("mysql"),
     {"f:6:10: a check of health must be a map, not a single value; write, for example: {kind: "
      "mysql, target: 127.0.0.1:6446}"}},
    {"no_kind",
     checks("{target: 127.0.0.1:1}"),
     {"f:6:10: health.kind is missing; write, for example: {kind: mysql, target: "
      "127.0.0.1:6446}"}},
    {"kind_word",
     checks("{kind: ping}"),
     {"f:6:17: health.kind: unknown word \"ping\"; choose from process, tcp, mysql, http, "
      "command"}},
    {"kind_misspelt_hides_nothing",
     checks("{kind: mysq, target: 127.0.0.1}"),
     {"f:6:17: health.kind: unknown word \"mysq\"; did you mean \"mysql\"?",
      "f:6:31: health.target: \"127.0.0.1\" has no port; write 127.0.0.1:3306"}},
    {"key_misspelt",
     checks("{kind: tcp, targt: 127.0.0.1:1}"),
     {"f:6:22: unknown key \"targt\"; did you mean \"target\"?"}},
    {"key_of_another_kind",
     checks("{kind: tcp, target: 127.0.0.1:1, query: SELECT 1}"),
     {"f:6:43: health.query has no meaning with kind: tcp (it belongs to mysql); remove it"}},
    {"no_target",
     checks("{kind: mysql}"),
     {"f:6:10: health.target is missing; write, for example: target: 127.0.0.1:6446"}},
    {"host_name",
     checks("{kind: tcp, target: 'localhost:6446'}"),
     {"f:6:30: health.target: \"localhost:6446\" names its host, and names are not resolved; write "
      "its numeric address, as in 127.0.0.1:6446"}},
    {"any_address",
     checks("{kind: tcp, target: 0.0.0.0:6446}"),
     {"f:6:30: health.target: \"0.0.0.0:6446\" is not the address of a server"}},
    {"password",
     checks("{kind: mysql, target: 127.0.0.1:1, user: u, password: secret}"),
     {"f:6:54: health.password: no secret stands in this file; write it into a file of its own and "
      "name that with password_file"}},
    {"password_without_user",
     checks("{kind: mysql, target: 127.0.0.1:1, password_file: /p}"),
     {"f:6:10: health.user is missing; write, for example: user: hamr"}},
    {"query_without_user",
     checks("{kind: mysql, target: 127.0.0.1:1, query: SELECT 1, tls: required}"),
     {"f:6:52: health.query needs an account: without `user` nobody logs in",
      "f:6:67: health.tls needs an account: without `user` nobody logs in"}},
    {"tls_word",
     checks("{kind: mysql, target: 127.0.0.1:1, user: u, tls: yes}"),
     {"f:6:59: health.tls: unknown word \"yes\"; choose from off, required, verified"}},
    {"verified_without_ca",
     checks("{kind: mysql, target: 127.0.0.1:1, user: u, tls: verified}"),
     {"f:6:10: health.ca_file is missing; write, for example: ca_file: /etc/mysql/ca.pem"}},
    {"ca_without_verified",
     checks("{kind: mysql, target: 127.0.0.1:1, user: u, ca_file: /c}"),
     {"f:6:63: health.ca_file is used with tls: verified only; write that too, or remove it"}},
    {"weight_and_fatal",
     checks("{kind: tcp, target: 127.0.0.1:1, weight: 5, fatal: true}"),
     {"f:6:61: health.weight and health.fatal exclude each other; keep one"}},
    {"weight_range",
     checks("{kind: tcp, target: 127.0.0.1:1, weight: 1000000}"),
     {"f:6:51: health.weight must be a whole number from 0 to 999999, not \"1000000\""}},
    {"counts",
     checks("{kind: tcp, target: 127.0.0.1:1, rise: 0, fall: 61}"),
     {"f:6:49: health.rise must be a whole number from 1 to 60, not \"0\"",
      "f:6:58: health.fall must be a whole number from 1 to 60, not \"61\""}},
    {"times",
     checks("{kind: tcp, target: 127.0.0.1:1, interval: 1ms, timeout: 5, jitter: 2s}"),
     {"f:6:53: health.interval must be from 10ms to 10m, not 1ms",
      "f:6:67: health.timeout: 5 has no unit; write 5ms or 5s (units: us, ms, s, m)",
      "f:6:78: health.jitter must be from 0s to 1s, not 2s"}},
    {"same_check_twice",
     checks("{kind: tcp, target: 127.0.0.1:1},\n {kind: tcp, target: 127.0.0.1:1}"),
     {"f:7:2: health: the name \"tcp 127.0.0.1:1\" belongs to another check already (line 6); give "
      "this one a `name` of its own"}},
    {"same_name_twice",
     checks("{kind: tcp, target: 127.0.0.1:1, name: a}, {kind: tcp, target: 127.0.0.1:1, name: a}"),
     {"f:6:92: health: the name \"a\" belongs to another check already (line 6); give this one a "
      "`name` of its own"}},
    {"broken_ones_have_no_name",
     checks("{kind: tcp, target: x}, {kind: tcp, target: y}"),
     {"f:6:30: health.target: \"x\" is not ADDRESS:PORT with a numeric address, as in "
      "192.0.2.21:3306 or \"[2001:db8::21]:3306\"",
      "f:6:54: health.target: \"y\" is not ADDRESS:PORT with a numeric address, as in "
      "192.0.2.21:3306 or \"[2001:db8::21]:3306\""}},
    {"name",
     checks("{kind: tcp, target: 127.0.0.1:1, name: '\"x\"'}"),
     {"f:6:49: \"\"x\"" + name_rule}},
    {"process_nothing",
     checks("{kind: process}"),
     {"f:6:10: health.process is missing; write, for example: process: haproxy"}},
    {"process_path",
     checks("{kind: process, process: /usr/sbin/haproxy}"),
     {"f:6:35: health.process: \"/usr/sbin/haproxy\" is a path; write the name of the process, as "
      "`ps -e` shows it: haproxy"}},
    {"process_long",
     checks("{kind: process, process: mysqlrouter_main}"),
     {"f:6:35: health.process: the kernel keeps 15 characters of a process' name; write "
      "mysqlrouter_mai"}},
    {"url_scheme",
     checks("{kind: http, url: '127.0.0.1:8404/x'}"),
     {"f:6:28: health.url: \"127.0.0.1:8404/x\" is not http://ADDRESS:PORT/path, as in "
      "http://127.0.0.1:8404/health"}},
    {"url_tls",
     checks("{kind: http, url: 'https://127.0.0.1/x'}"),
     {"f:6:28: health.url: \"https://127.0.0.1/x\" asks for TLS, which this check does not speak; "
      "name a plain HTTP port, or use kind: command"}},
    {"url_account",
     checks("{kind: http, url: 'http://u:p@127.0.0.1/x'}"),
     {"f:6:28: health.url: \"http://u:p@127.0.0.1/x\" has an account in it; name it with user and "
      "password_file"}},
    {"url_host_name",
     checks("{kind: http, url: 'http://localhost:80/x'}"),
     {"f:6:28: health.url: \"http://localhost:80/x\" does not name its host by a numeric address; "
      "names are not resolved, write it as in http://127.0.0.1:8404/health"}},
    {"url_ipv6",
     checks("{kind: http, url: 'http://::1/x'}"),
     {"f:6:28: health.url: \"http://::1/x\" has an IPv6 address without brackets; write "
      "http://[2001:db8::1]:80/"}},
    {"url_blank",
     checks("{kind: http, url: 'http://127.0.0.1/a b'}"),
     {"f:6:28: health.url: \"http://127.0.0.1/a b\" has a blank, a # or a character beyond ASCII "
      "in its path; write it as %XX"}},
    {"status",
     checks("{kind: http, url: 'http://127.0.0.1/', status: 20}"),
     {"f:6:57: health.status must be a whole number from 100 to 599, not \"20\""}},
    {"command_as_a_string",
     checks("{kind: command, command: /usr/lib/check_x -w 5}"),
     {"f:6:35: health.command must be a list, since no shell takes a string apart; write a list: "
      "[/usr/lib/check_x, -w, 5]"}},
    {"command_missing",
     checks("{kind: command}"),
     {"f:6:10: health.command is missing; write, for example: command: "
      "[/usr/lib/nagios/plugins/check_load]"}},
};

class BadHealth : public testing::TestWithParam<Row> {};

TEST_P(BadHealth, SaysWhatWhereAndWhatToWrite) {
    EXPECT_EQ(test::problems_of(GetParam().file), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(Rows, BadHealth, testing::ValuesIn(rows), test::row_name);

const Row warning_rows[] = {
    {"timeout_over_interval",
     checks("{kind: tcp, target: 127.0.0.1:1, interval: 1s, timeout: 3s}"),
     {"f:6:66: health.timeout 3s is longer than the interval 1s: one probe is under way at a time, "
      "so a check that hangs is asked every 3s only; lower it, or raise the interval"}},
    {"a_nodes_address",
     checks("{kind: tcp, target: 192.0.2.11:6446}"),
     {"f:6:30: health: 192.0.2.11 is r1's, so that every host judges itself by r1; write a "
      "loopback address: every host asks its own"}},
    {"the_vip",
     checks("{kind: http, url: 'http://192.0.2.100:80/'}"),
     {"f:6:28: health: 192.0.2.100 is a VIP, so that every host judges itself by the leader; write "
      "a loopback address: every host asks its own"}},
    {"the_vip_of_a_router_that_runs_on_the_leader",
     test::embedded("kind: haproxy, start: leader") +
         "health: [{kind: tcp, target: 192.0.2.100:6446}]\n",
     {}},
    {"processes_only",
     test::embedded("kind: haproxy") + "health: [{kind: process, process: haproxy}]\n",
     {"f:6:9: health has checks of kind process only: a router that runs and serves nobody goes "
      "unseen; add one of kind mysql"}},
};

class HealthWarning : public testing::TestWithParam<Row> {};

TEST_P(HealthWarning, IsNoError) {
    EXPECT_EQ(test::warnings_of(GetParam().file), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(Rows, HealthWarning, testing::ValuesIn(warning_rows), test::row_name);

}  // namespace
}  // namespace hamr::config
