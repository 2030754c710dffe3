// SPDX-License-Identifier: GPL-2.0-or-later
// One row for each thing that can be wrong: the file, and all that is said about it.
#include "agent/config/config.hpp"
#include "tests/unit/agent/config_rows.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

using test::backends;
using test::embedded;
using test::Lines;
using test::monitor;
using test::problems_of;
using test::Row;
using test::row_name;
using test::with;

class BadConfig : public testing::TestWithParam<Row> {};

TEST_P(BadConfig, SaysWhatWhereAndWhatToWrite) {
    EXPECT_EQ(problems_of(GetParam().file), GetParam().said);
}

const Row file_rows[] = {
    {"empty_file", "", {"f:1:1: the file is empty; a smallest example is in hamr.yaml(5)"}},
    {"only_comments",
     "# nothing\n",
     {"f:1:1: the file is empty; a smallest example is in hamr.yaml(5)"}},
    {"a_list",
     "- a\n",
     {"f:1:1: the file must be a map, not a list; write, for example: cluster: shop"}},
    {"syntax_error",
     with(2, "nodes: {r1: 192.0.2.11, "),
     {"f:4:4: not valid YAML: end of map flow not found"}},
    {"bad_indentation",
     with(4, "  vip: 192.0.2.100/24\n vip: x"),
     {"f:4:6: not valid YAML: illegal map value"}},
    {"two_documents",
     with(6, "---\na: b"),
     {"f:7:1: a second document (---) in the file; keep one"}},
    {"anchor",
     with(1, "cluster: &name shop"),
     {"f:1:10: anchors and aliases (& and *) are not supported; write the value out"}},
    {"alias_bomb",
     "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
     {"f:1:4: anchors and aliases (& and *) are not supported; write the value out"}},
    {"tag",
     with(1, "cluster: !!str shop"),
     {"f:1:10: tags (!) are not supported; write the value alone"}},
    {"deep_nesting",
     "a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n",
     {"f:1:19: nested too deeply; no setting needs this"}},
    {"a_list_as_key",
     "[a, b]: 1\n",
     {"f:1:1: a key must be a single word, not a list or a map; quote it if it contains brackets"}},
    {"too_large",
     std::string((1 << 20) + 1, '#'),
     {"f: larger than 1 MiB; this is no configuration of HAMR"}},
    {"everything_missing",
     "cluster: shop\n",
     {"f:1:1: nodes is missing; write, for example: nodes: {router1: 192.0.2.11, router2: "
      "192.0.2.12}",
      "f:1:1: key_file is missing; write, for example: key_file: /etc/hamr/hamr.key",
      "f:1:1: vip is missing; write, for example: vip: 192.0.2.100/24",
      "f:1:1: router is missing; write, for example: router: {backends: [192.0.2.21:3306], "
      "monitor: {user: hamr, password_file: /etc/hamr/monitor.password}}, or router: {kind: "
      "haproxy}, or router: {kind: none} "
      "for an address with nothing behind it"}},
    {"unknown_key",
     with(6, "keyfile2: /k"),
     {"f:6:1: unknown key \"keyfile2\"; did you mean \"key_file\"?"}},
    {"unknown_key_like_nothing",
     with(6, "heartbeat: {pace: 3}"),
     {"f:6:13: unknown key \"pace\"; known here: interval, misses, port"}},
    {"misspelt_key_is_not_missing_too",
     with(1, "clustre: shop"),
     {"f:1:1: unknown key \"clustre\"; did you mean \"cluster\"?"}},
    {"key_given_twice",
     with(6, "cluster: shop"),
     {"f:6:1: \"cluster\" is given twice, first in line 1; keep one"}},
    {"no_value", with(1, "cluster:"), {"f:1:1: cluster has no value"}},
    {"list_for_a_name",
     with(1, "cluster: [a]"),
     {"f:1:10: cluster must be a single value, not a list"}},
    {"capital_cluster",
     with(1, "cluster: Shop"),
     {"f:1:10: \"Shop\" cannot be the cluster's name; use 1 to 63 of a-z 0-9 _ . - and begin with "
      "a letter or digit (no capitals)"}},
    {"control_character",
     with(1, "cluster: \"a\\x07\""),
     {"f:1:10: cluster must be 1 to 512 characters long, without control characters"}},
    {"relative_key_file",
     with(3, "key_file: hamr.key"),
     {"f:3:11: key_file: \"hamr.key\" is not an absolute path; begin it with /"}},
    {"http_comes_later",
     with(6, "http: 0.0.0.0:8113"),
     {"f:6:7: http: the TCP listener is not in this version; remove this setting"}},
    {"announce_too_often",
     with(6, "announce: {refresh: 10ms}"),
     {"f:6:21: announce.refresh must be from 1s to 60m, not 10ms"}},
};
INSTANTIATE_TEST_SUITE_P(File, BadConfig, testing::ValuesIn(file_rows), row_name);

const Row node_rows[] = {
    {"nodes_a_list",
     with(2, "nodes: [192.0.2.11]"),
     {"f:2:8: nodes must be a map, not a list; write, for example: nodes: {router1: 192.0.2.11, "
      "router2: 192.0.2.12}"}},
    {"no_router",
     with(2, "nodes: {w1: {addresses: [192.0.2.13], role: witness}}"),
     {"f:2:8: nodes has no router; a witness votes but never leads, so list at least one node "
      "with role: router"}},
    {"seventeen_nodes",
     with(2,
          "nodes: {n1: 192.0.2.1, n2: 192.0.2.2, n3: 192.0.2.3, n4: 192.0.2.4, n5: 192.0.2.5, "
          "n6: 192.0.2.6, n7: 192.0.2.7, n8: 192.0.2.8, n9: 192.0.2.9, n10: 192.0.2.10, n11: "
          "192.0.2.11, n12: 192.0.2.12, n13: 192.0.2.13, n14: 192.0.2.14, n15: 192.0.2.15, "
          "n16: 192.0.2.16, n17: 192.0.2.17}"),
     {"f:2:8: nodes has 17 entries; at most 16 are supported"}},
    {"node_name",
     with(2, "nodes: {r1: 192.0.2.11, -x: 192.0.2.12}"),
     {"f:2:25: \"-x\" cannot be a node's name; use 1 to 63 of a-z 0-9 _ . - and begin with a "
      "letter or digit (no capitals)"}},
    {"node_twice",
     with(2, "nodes: {r1: 192.0.2.11, r1: 192.0.2.12}"),
     {"f:2:25: \"r1\" is given twice, first in line 2; keep one"}},
    {"one_address_for_two_nodes",
     with(2, "nodes: {r1: 192.0.2.11, r2: [192.0.2.12, 192.0.2.11]}"),
     {"f:2:42: 192.0.2.11 of node r2 is already the address of node r1 (line 2); give each its "
      "own"}},
    {"host_name",
     with(2, "nodes: {r1: 192.0.2.11, r2: db.example.net}"),
     {"f:2:29: nodes.r2: \"db.example.net\" is not an IPv4 or IPv6 address; names are not "
      "resolved, write the address"}},
    {"node_with_prefix",
     with(2, "nodes: {r1: 192.0.2.11, r2: 192.0.2.12/24}"),
     {"f:2:29: nodes.r2: \"192.0.2.12/24\" has a prefix length, which only a VIP has; leave it "
      "out"}},
    {"loopback_node",
     with(2, "nodes: {r1: 192.0.2.11, r2: 127.0.0.1}"),
     {"f:2:29: nodes.r2: \"127.0.0.1\" is a loopback address, which no other host can reach; "
      "write an address that the other hosts reach"}},
    {"link_local_node",
     with(2, "nodes: {r1: 192.0.2.11, r2: \"fe80::1\"}"),
     {"f:2:29: nodes.r2: \"fe80::1\" is a link-local address, which names no host by itself; "
      "write an address that the other hosts reach"}},
    {"unknown_role",
     with(2, "nodes: {r1: 192.0.2.11, r2: {addresses: [192.0.2.12], role: leader}}"),
     {"f:2:61: nodes.r2.role: unknown word \"leader\"; choose from router, witness"}},
    {"no_addresses",
     with(2, "nodes: {r1: 192.0.2.11, r2: {addresses: []}}"),
     {"f:2:41: nodes.r2.addresses must have 1 to 5 entries, not 0"}},
    {"node_without_value",
     with(2, "nodes:\n  r1: 192.0.2.11\n  r2:"),
     {"f:4:3: nodes.r2 has no value"}},
    {"interval_too_short",
     with(6, "heartbeat: {interval: 1ms}"),
     {"f:6:23: heartbeat.interval must be from 2ms to 1s, not 1ms"}},
    {"interval_too_long",
     with(6, "heartbeat: {interval: 1.5s}"),
     {"f:6:23: heartbeat.interval must be from 2ms to 1s, not 1.5s"}},
    {"interval_without_unit",
     with(6, "heartbeat: {interval: 100}"),
     {"f:6:23: heartbeat.interval: 100 has no unit; write 100ms or 100s (units: us, ms, s, m)"}},
    {"interval_nonsense",
     with(6, "heartbeat: {interval: fast}"),
     {"f:6:23: heartbeat.interval: \"fast\" is not a duration; write, for example, 100ms (units: "
      "us, ms, s, m)"}},
    {"one_miss",
     with(6, "heartbeat: {misses: 1}"),
     {"f:6:21: heartbeat.misses must be a whole number from 2 to 20, not \"1\""}},
    {"misses_not_whole",
     with(6, "heartbeat: {misses: 2.5}"),
     {"f:6:21: heartbeat.misses must be a whole number from 2 to 20, not \"2.5\""}},
    {"lease_too_long",
     with(6, "heartbeat: {interval: 500ms, misses: 7}"),
     {"f:6:23: heartbeat: the lease interval × misses is 3500ms, and at most 3s is supported; "
      "lower one of them"}},
    {"port_zero",
     with(6, "heartbeat: {port: 0}"),
     {"f:6:19: heartbeat.port must be a whole number from 1 to 65535, not \"0\""}},
    {"quorum_word",
     with(6, "quorum: majorty"),
     {"f:6:9: quorum: unknown word \"majorty\"; did you mean \"majority\"?"}},
};
INSTANTIATE_TEST_SUITE_P(Nodes, BadConfig, testing::ValuesIn(node_rows), row_name);

const Row group_rows[] = {
    {"vip_and_vips",
     with(6, "vips: {other: 192.0.2.101/24}"),
     {"f:6:7: vip and vips exclude each other; move the address of vip into vips"}},
    {"no_prefix_length",
     with(4, "vip: 192.0.2.100"),
     {"f:4:6: vip: \"192.0.2.100\" has no prefix length; write that of its network, as in "
      "192.0.2.100/24"}},
    {"no_prefix_length_ipv6",
     with(4, "vip: 2001:db8::100"),
     {"f:4:6: vip: \"2001:db8::100\" has no prefix length; write that of its network, as in "
      "2001:db8::100/64"}},
    {"vip_nonsense",
     with(4, "vip: 192.0.2.100/99"),
     {"f:4:6: vip: \"192.0.2.100/99\" is not ADDRESS/LENGTH, as in 192.0.2.100/24"}},
    {"vip_length_zero",
     with(4, "vip: 192.0.2.100/0"),
     {"f:4:6: vip: \"192.0.2.100/0\" has the prefix length 0; write that of its network"}},
    {"vip_broadcast",
     with(4, "vip: 192.0.2.255/24"),
     {"f:4:6: vip: \"192.0.2.255/24\" is the network's own or its broadcast address; choose a "
      "host's address"}},
    {"vip_loopback",
     with(4, "vip: 127.0.0.2/8"),
     {"f:4:6: vip: \"127.0.0.2/8\" is a loopback address, which no other host can reach; it "
      "cannot be a VIP"}},
    {"vip_link_local_needs_interface",
     with(4, "vip: fe80::1/64"),
     {"f:4:6: vip: \"fe80::1/64\" is link-local: say on which `interface` it lives"}},
    {"vip_is_a_node",
     with(4, "vip: 192.0.2.12/24"),
     {"f:4:6: 192.0.2.12 of group default is already the address of node r2 (line 2); give each "
      "its own"}},
    {"vip_twice",
     with(4, "vips: {a: 192.0.2.100/24, b: [192.0.2.101/24, 192.0.2.100/32]}"),
     {"f:4:47: 192.0.2.100 of group b is already the address of group a (line 4); give each its "
      "own"}},
    {"no_groups", with(4, "vips: {}"), {"f:4:7: vips must have 1 to 256 groups, not 0"}},
    {"group_without_addresses",
     with(4, "vips: {a: {failback: true}}"),
     {"f:4:11: vips.a.addresses is missing; write, for example: addresses: [192.0.2.100/24]"}},
    {"group_name",
     with(4, "vips: {\"a b\": 192.0.2.100/24}"),
     {"f:4:8: \"a b\" cannot be a group's name; use 1 to 63 of a-z 0-9 _ . - and begin with a "
      "letter or digit (no capitals)"}},
    {"prefer_unknown",
     with(4, "vip: {addresses: 192.0.2.100/24, prefer: [r1, r3]}"),
     {"f:4:47: vip.prefer: unknown node \"r3\"; did you mean \"r1\"?"}},
    {"prefer_witness",
     with(4, "vip: {addresses: 192.0.2.100/24, prefer: [w1]}"),
     {"f:4:43: vip.prefer: w1 is a witness and never leads; list routers only"}},
    {"prefer_twice",
     with(4, "vip: {addresses: 192.0.2.100/24, prefer: [r1, r1]}"),
     {"f:4:47: vip.prefer: r1 is listed twice; keep one"}},
    {"failback_word",
     with(4, "vip: {addresses: 192.0.2.100/24, failback: yes}"),
     {"f:4:44: vip.failback must be true or false, not \"yes\""}},
    {"failback_without_unit",
     with(4, "vip: {addresses: 192.0.2.100/24, failback: {after: 60}}"),
     {"f:4:52: vip.failback.after: 60 has no unit; write 60ms or 60s (units: us, ms, s, m)"}},
    {"interface_name",
     with(4, "vip: {addresses: 192.0.2.100/24, interface: eth0/1}"),
     {"f:4:45: vip.interface: \"eth0/1\" cannot be an interface's name; see `ip link`"}},
};
INSTANTIATE_TEST_SUITE_P(Groups, BadConfig, testing::ValuesIn(group_rows), row_name);

const Row router_rows[] = {
    {"no_backends",
     embedded(monitor),
     {"f:5:9: router.backends is missing; write, for example: backends: [192.0.2.21:3306]"}},
    {"backend_without_port",
     embedded("backends: [192.0.2.21], " + monitor),
     {"f:5:21: router.backends: \"192.0.2.21\" has no port; write 192.0.2.21:3306"}},
    {"backend_name",
     embedded("backends: [db1:3306], " + monitor),
     {"f:5:21: router.backends: \"db1:3306\" names its host, and names are not resolved; write "
      "its numeric address, as in 192.0.2.21:3306"}},
    {"backend_path",
     embedded("backends: [/run/mysqld.sock], " + monitor),
     {"f:5:21: router.backends: \"/run/mysqld.sock\" is not ADDRESS:PORT with a numeric address, "
      "as in 192.0.2.21:3306 or \"[2001:db8::21]:3306\""}},
    {"unquoted_ipv6_backend",
     embedded("backends: [[2001:db8::21], 192.0.2.21:3306], " + monitor),
     {"f:5:21: router.backends: a list where ADDRESS:PORT is expected; quote an IPv6 address: "
      "\"[2001:db8::21]:3306\""}},
    {"backend_twice",
     embedded("backends: [192.0.2.21:3306, 192.0.2.21:3306], " + monitor),
     {"f:5:38: router.backends: 192.0.2.21:3306 is listed twice, first in line 5; keep one"}},
    {"backend_is_the_vip",
     embedded("backends: [192.0.2.100:3306], " + monitor),
     {"f:5:21: 192.0.2.100 of backend 192.0.2.100:3306 is already the address of group default "
      "(line 4); give each its own"}},
    {"monitor_password_in_the_file",
     embedded(backends + ", monitor: {user: u, password: secret, password_file: /p}"),
     {"f:5:58: router.monitor.password: no secret stands in this file; write it into a file of its "
      "own and name that with password_file"}},
    {"monitor_interval",
     embedded(backends + ", monitor: {user: u, password_file: /p, interval: 1ms}"),
     {"f:5:87: router.monitor.interval must be from 10ms to 1m, not 1ms"}},
    {"no_routes",
     embedded(backends + ", " + monitor + ", routes: {}"),
     {"f:5:86: router.routes must have 1 to 16 routes, not 0"}},
    {"route_without_port",
     embedded(backends + ", " + monitor + ", routes: {rw: {to: primary}}"),
     {"f:5:91: router.routes.rw.port is missing; write, for example: port: 6446"}},
    {"route_to",
     embedded(backends + ", " + monitor + ", routes: {rw: {port: 1, to: master}}"),
     {"f:5:105: router.routes.rw.to: unknown word \"master\"; choose from primary, secondary"}},
    {"route_port_twice",
     embedded(backends + ", " + monitor +
              ", routes: {rw: {port: 1, to: primary}, ro: {port: 1, to: secondary}}"),
     {"f:5:126: router.routes.ro.port: 1 is already the port of route rw; give each its own"}},
};
INSTANTIATE_TEST_SUITE_P(Router, BadConfig, testing::ValuesIn(router_rows), row_name);

const Row warning_rows[] = {
    {"majority_of_two",
     with(2, "nodes: {r1: 192.0.2.11, r2: 192.0.2.12}\nquorum: majority"),
     {"f:3:9: quorum majority with 2 voters: when any of them is down, nobody leads; add a "
      "witness"}},
    {"auto_with_two",
     with(2, "nodes: {r1: 192.0.2.11, r2: 192.0.2.12}"),
     {"f:1:1: quorum auto means none with two voters: a partition between them makes two leaders; "
      "add a third voter, for example a node with role: witness"}},
    {"idle_witness",
     with(6, "quorum: none"),
     {"f:6:9: quorum none asks no votes, so the witness has nothing to do"}},
    {"no_monitor",
     embedded(backends),
     {"f:5:9: router.monitor is missing: roles cannot be known without an account, the first "
      "backend "
      "that answers counts as the primary; write, for example: monitor: {user: hamr, "
      "password_file: /etc/hamr/monitor.password}"}},
    {"one_router",
     with(2, "nodes: {r1: 192.0.2.11}"),
     {"f:2:8: nodes has only one router: nobody can take over from it"}},
};

class ConfigWarning : public testing::TestWithParam<Row> {};

TEST_P(ConfigWarning, IsNoError) {
    EXPECT_EQ(test::warnings_of(GetParam().file), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(Rows, ConfigWarning, testing::ValuesIn(warning_rows), row_name);

TEST(BadConfigTogether, AllProblemsAtOnceInFileOrder) {
    EXPECT_EQ(problems_of("router: {kind: non}\nvip: x\nquorum: all\nkey_file: k\nnodes: 3\n"),
              (Lines{"f:1:1: cluster is missing; write, for example: cluster: shop",
                     "f:1:16: router.kind: unknown word \"non\"; did you mean \"none\"?",
                     "f:2:6: vip: \"x\" is not ADDRESS/LENGTH, as in 192.0.2.100/24",
                     "f:3:9: quorum: unknown word \"all\"; choose from auto, majority, none",
                     "f:4:11: key_file: \"k\" is not an absolute path; begin it with /",
                     "f:5:8: nodes must be a map, not a single value; write, for example: nodes: "
                     "{router1: 192.0.2.11, router2: 192.0.2.12}"}));
}

TEST(BadConfigTogether, ManyProblemsAreBounded) {
    std::string file;
    for (int i = 0; i < 5000; ++i) file += "nonsense" + std::to_string(i) + ": 1\n";
    const Lines lines = problems_of(file);
    EXPECT_EQ(lines.size(), Report::max_problems + 1);
    EXPECT_EQ(lines.back(), "f: more problems are not shown; correct these first");
}

/// Files made to hurt: each must be refused within the test's time-out, without much memory.
TEST(BadConfigTogether, HostileFilesEnd) {
    constexpr std::size_t half = limits::file_bytes / 2;
    for (const char* unit : {"[", "{", "- ", "? ", "a: ", "&a ", "\"", "!", "[a,", "*a ", "\t", "%",
                             "|", "{a: [", "\xff", "a:\n"}) {
        std::string file;
        while (file.size() < half) file += unit;
        EXPECT_FALSE(problems_of(file).empty()) << unit;
    }
    EXPECT_FALSE(problems_of(std::string(half, '\0')).empty());
}

}  // namespace
}  // namespace hamr::config
