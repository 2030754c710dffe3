// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/show.hpp"

#include "tests/unit/agent/sample.hpp"

#include <string>

#include <gmock/gmock.h>

namespace hamr::cli {
namespace {

using test::sample_history;
using test::sample_status;
using testing::HasSubstr;
using testing::Not;

TEST(ShowStatus, IsOnePageThatSaysItAll) {
    const auto now = *control::parse_time("2026-11-20T08:05:00Z");
    EXPECT_EQ(show_status(sample_status(), now, Paint(false)),
              R"(cluster shop, seen from router1, quorum majority

group default
  address   192.0.2.100/24, 2001:db8::100/64
  leader    router1 (this node), term 4
  this node leader
  since     2026-11-20T06:00:00Z (2 h 5 min ago)
  reason    takeover: router2 silent for 30 ms
  lease     24 ms left, 3 votes, 2 needed

group reads
  address   192.0.2.101/24
  leader    NOBODY, term 2
  this node candidate

  node      role     state        demotion  last heard
  router1   router   alive        0         this node
  router2   router   silent       10        4.2 s ago   drained
  witness1  witness  never heard  0         never

router embedded
  state     degraded, 812 flows
  backend          role     state  topology
  192.0.2.21:3306  primary  up     replication
  192.0.2.22:3306  unknown  down   -            connection refused

dropped frames: 12 bad signature

WARNING: the clock drifts
  what to do: look at chrony
)");
}

TEST(ShowStatus, NothingInItCommandsATerminal) {
    control::Status status = sample_status();
    status.cluster = status.node = status.groups[0].reason = "a\033[2Jb\n";
    status.nodes[1].name = status.warnings[0].what = status.router.kind = "\033]0;x\007";
    const std::string page = show_status(status, {}, Paint(false));
    EXPECT_THAT(page, Not(HasSubstr("\033")));
    EXPECT_THAT(page, HasSubstr("a?[2Jb?"));
}

TEST(ShowStatus, ColoursOnlyWhenAsked) {
    EXPECT_THAT(show_status(sample_status(), {}, Paint(true)),
                HasSubstr("\033[1;31mNOBODY\033[0m"));
}

TEST(ShowHistory, IsATable) {
    EXPECT_EQ(
        show_history(sample_history(), Paint(false)),
        "time                      group    node     state                term  reason"
        "                              stages\n"
        "2026-11-20T05:00:00Z      default  router2  candidate -> leader  3     election: nobody "
        "leads\n"
        "2026-11-20T06:00:00.123Z  default  router1  candidate -> leader  4     takeover: router2 "
        "silent for 30 ms  detected 30 ms, elected 0.4 ms\n");
    EXPECT_EQ(show_history({}, Paint(false)), "nothing has happened yet\n");
}

TEST(ShowFailover, SaysWhatMoved) {
    EXPECT_EQ(show_failover(
                  {control::Outcome::done,
                   "router2 leads",
                   "",
                   {{"default", "router1", "router2", 1.75}, {"reads", "router2", "router2", 0}}}),
              "router2 leads\n"
              "  default: router1 -> router2 in 1.8 ms\n"
              "  reads: router2 leads already\n");
}

TEST(ShowTimes, InTheUnitThatFits) {
    EXPECT_EQ(show_ms(0.04), "0.0 ms");
    EXPECT_EQ(show_ms(34.9), "35 ms");
    EXPECT_EQ(show_ms(4210.5), "4.2 s");
    EXPECT_EQ(show_ms(180'000), "3 min");
    EXPECT_EQ(show_ms(1e300), "very long");
    EXPECT_EQ(show_age(std::chrono::seconds(45)), "45 s");
    EXPECT_EQ(show_age(std::chrono::hours(145)), "6 d 1 h");
}

TEST(Table, ColumnsCountCharactersNotBytes) {
    EXPECT_EQ(table({{{"é"}, {"x"}}, {{"ab"}, {"y"}}}, Paint(false), ""), "é   x\nab  y\n");
}

}  // namespace
}  // namespace hamr::cli
