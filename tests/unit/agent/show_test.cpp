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
not well: group reads: no leader heard; router2 silent; witness1 never heard;
  router degraded; 1 warning below

group default
  address   192.0.2.100/24, 2001:db8::100/64
  leader    router1 (this node), term 4
  this node leader
  since     2026-11-20T06:00:00Z (2 h 5 min ago)
  reason    takeover: router2 silent for 30 ms
  lease     24 ms left, 3 votes, 2 needed

group reads
  address   192.0.2.101/24
  leader    NOBODY that this node hears, term 2
  this node candidate
  reason    1 of 3 voters in reach, 2 needed: look at the silent nodes

  node      role     state        demotion  last heard
  router1   router   alive        0         this node
  router2   router   silent       10        4.2 s ago   drained
  witness1  witness  never heard  -         never

router embedded
  state     degraded, 812 flows
  reason    no secondary: ro leads to the primary
  backend          role     state  topology
  192.0.2.21:3306  primary  up     replication
  192.0.2.22:3306  unknown  down   -            connection refused

  dropped frames  number
  bad signature   12      signed with a key that is not in this node's key file

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

/// A status in which nothing is wrong.
control::Status well() {
    control::Status status = sample_status();
    status.groups.resize(1);
    for (control::NodeStatus& node : status.nodes) {
        node.state = control::NodeState::alive;
        node.demotion = 0;
    }
    status.router.state = control::RouterState::serving;
    status.router.reason.clear();
    status.drops.clear();
    status.warnings.clear();
    return status;
}

std::string page(const control::Status& status) {
    return show_status(status, {}, Paint(false));
}

TEST(ShowStatus, SaysThatAllIsWell) {
    const std::string text = page(well());
    EXPECT_THAT(text, HasSubstr("quorum majority: all is well\n"));
    EXPECT_THAT(text, Not(HasSubstr("dropped")));
    EXPECT_THAT(text, Not(HasSubstr("to spare")));
}

TEST(ShowStatus, ADemotedLeaderIsAProblem) {
    control::Status status = well();
    status.nodes[0].demotion = 100;
    EXPECT_THAT(page(status), HasSubstr("\nnot well: leader router1 demoted\n"));
    EXPECT_THAT(page(status), HasSubstr("leader    router1 (this node), term 4, demoted by 100\n"));
}

TEST(ShowStatus, ALeaseWithoutAVoteToSpare) {
    control::Status status = well();
    status.groups[0].votes = 2;
    EXPECT_THAT(page(status), HasSubstr("2 votes, 2 needed: none to spare\n"));
}

TEST(ShowStatus, NobodyLeads) {
    control::Status status = well();
    status.groups[0].leader.reset();
    status.groups[0].reason = "takeover: router1 released its lease";
    status.groups[0].state = control::GroupState::starting;
    EXPECT_THAT(page(status), HasSubstr("not well: nobody leads\n"));
    EXPECT_THAT(page(status), HasSubstr("leader    NOBODY, term 4\n"));
    EXPECT_THAT(page(status), HasSubstr("this agent has just started"));
    EXPECT_THAT(page(status), Not(HasSubstr("takeover")));
    status.groups[0].state = control::GroupState::candidate;
    EXPECT_THAT(page(status), HasSubstr("an election is under way"));
}

TEST(ShowStatus, WithoutAQuorumNobodyIsAsked) {
    control::Status status = well();
    status.quorum = "none";
    status.groups[0].votes = status.groups[0].needed = 1;
    EXPECT_THAT(page(status), HasSubstr("lease     24 ms left; nobody is asked for votes\n"));
    status.nodes[1].state = status.nodes[2].state = control::NodeState::silent;
    status.groups[0].leader.reset();
    EXPECT_THAT(page(status), HasSubstr("NOBODY, term 4"));
}

TEST(ShowStatus, AWitnessHasNoRouter) {
    control::Status status = well();
    status.node = "witness1";
    EXPECT_THAT(page(status), Not(HasSubstr("router embedded")));
}

TEST(ShowStatus, WarningsFitTheTerminal) {
    control::Status status = well();
    status.warnings = {
        {"this is a warning that is quite a bit longer than the 80 columns that a "
         "terminal has",
         "do something about it, at once, and do it well, since it is night and "
         "nobody else is there"}};
    EXPECT_THAT(page(status), HasSubstr("\n"
                                        "WARNING: this is a warning that is quite a bit longer "
                                        "than the 80 columns that a\n"
                                        "  terminal has\n"
                                        "  what to do: do something about it, at once, and do it "
                                        "well, since it is night\n"
                                        "    and nobody else is there\n"));
}

TEST(ShowHistory, IsATable) {
    EXPECT_EQ(show_history(sample_history(), Paint(false)),
              "time                      node     state                term  reason\n"
              "2026-11-20T05:00:00.000Z  router2  candidate -> leader  3     election: nobody "
              "leads\n"
              "2026-11-20T06:00:00.123Z  router1  candidate -> leader  4     takeover: router2 "
              "silent for 30 ms (detected 30 ms, elected 0.4 ms)\n");
    EXPECT_EQ(show_history({}, Paint(false)), "nothing has happened yet\n");
}

TEST(ShowHistory, GroupsAndEvents) {
    auto history = sample_history();
    history[1].group = "reads";
    history[1].from = history[1].to = "leader";
    history[1].term = 0;
    history[1].stages_ms.clear();
    history[1].reason = "eth0 has lost its carrier";
    EXPECT_THAT(show_history(history, Paint(false)),
                HasSubstr("reads    router1  leader               -     eth0 has lost its "
                          "carrier\n"));
}

TEST(ShowFailover, SaysWhatMoved) {
    EXPECT_EQ(show_failover({control::Outcome::done,
                             "router2 leads",
                             "",
                             {{"default", "router1", "router2", 1.75},
                              {"reads", "router2", "router2", 0},
                              {"w", "", "router2", 2}}}),
              "group default: router2 leads (router1 before), announced after 1.8 ms\n"
              "group reads: router2 leads already\n"
              "group w: router2 leads (nobody before), announced after 2.0 ms\n");
    EXPECT_EQ(show_failover({control::Outcome::done, "router2 leads", "", {}}), "router2 leads\n");
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

TEST(Wrap, BreaksAtBlanksOnly) {
    EXPECT_EQ(wrap("one two three", "  ", 8), "one two\n  three");
    EXPECT_EQ(wrap("muchtoolong é é é é", "", 7), "muchtoolong\né é é é");
    EXPECT_EQ(wrap("", "  "), "");
    EXPECT_EQ(wrap("  kept", " "), "  kept");
}

TEST(Table, ColumnsCountCharactersNotBytes) {
    EXPECT_EQ(table({{{"é"}, {"x"}}, {{"ab"}, {"y"}}}, Paint(false), ""), "é   x\nab  y\n");
}

}  // namespace
}  // namespace hamr::cli
