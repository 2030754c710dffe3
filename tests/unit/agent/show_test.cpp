// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/show.hpp"

#include "agent/cli/words.hpp"
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
              R"(cluster shop, seen from router1, quorum majority: not well
- group reads: no leader heard: 1 of 3 voters in reach, 2 needed: look at the
  silent nodes
- router embedded degraded: no secondary: ro leads to the primary
  what to do: look at the backends below
- router2 silent for 4.2 s
  what to do: `systemctl status hamrd` on router2; if it runs, look at the
    network between
- witness1 never heard
  what to do: `systemctl status hamrd` on witness1; if it runs, look at the
    network between
- the clock drifts
  what to do: look at chrony
- router2 is drained: it does not lead until `hamr undrain` is run there

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
        node.drained = false;
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
    EXPECT_THAT(page(status), HasSubstr(": not well\n- leader router1 demoted by 100\n"));
    EXPECT_THAT(page(status), HasSubstr("leader    router1 (this node), term 4, demoted by 100\n"));
}

TEST(ShowStatus, ALeaseWithoutAVoteToSpare) {
    control::Status status = well();
    status.groups[0].votes = 2;
    EXPECT_THAT(page(status), HasSubstr("2 votes, 2 needed: none to spare\n"));
}

TEST(ShowStatus, ADrainedBackendAndWhatIsLeftOfIt) {
    control::Status status = well();
    status.router.backends[0].draining = true;
    status.router.backends[0].state = control::BackendState::draining;
    status.router.backends[0].flows = 12;
    status.router.backends[1].draining = true;
    EXPECT_THAT(page(status), HasSubstr("  192.0.2.21:3306  primary  draining        replication  "
                                        "12 connections left\n"
                                        "  192.0.2.22:3306  unknown  down, draining  -            "
                                        "no connection left; connection refused\n"));
}

TEST(ShowStatus, NobodyLeads) {
    control::Status status = well();
    status.groups[0].leader.reset();
    status.groups[0].reason = "takeover: router1 released its lease";
    status.groups[0].state = control::GroupState::starting;
    EXPECT_THAT(page(status), HasSubstr("\n- nobody leads: this agent has just started"));
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
                                        "- this is a warning that is quite a bit longer than the "
                                        "80 columns that a\n"
                                        "  terminal has\n"
                                        "  what to do: do something about it, at once, and do it "
                                        "well, since it is night\n"
                                        "    and nobody else is there\n"));
}

TEST(ShowStatus, ASupervisedRouterWithItsProcessAndChecks) {
    control::Status status = well();
    const control::Status other = test::supervised_status();
    status.router = other.router;
    status.checks = other.checks;
    const auto now = *control::parse_time("2026-11-20T06:03:05Z");
    const std::string text = show_status(status, now, Paint(false));
    EXPECT_THAT(text, HasSubstr(R"(quorum majority: not well
- router haproxy failed: haproxy was killed by signal 9 (SIGKILL); next start in
  1.5 s
  what to do: see what it says, with `journalctl -u haproxy.service`; mend that,
    and `hamr reload` starts it at once
- check mysql 127.0.0.1:6446 down: ERR 2003: no backend
  what to do: log in there yourself; a router that answers may have no backend

group default
)"));
    EXPECT_THAT(text, HasSubstr(R"(
router haproxy
  state     failed, 812 flows
  reason    haproxy was killed by signal 9 (SIGKILL)
  process   waiting, pid 4711, for 3 min, next start in 1.5 s, 3 restarts, adopted
  unit      haproxy.service
  last exit killed by signal 9 (SIGKILL)

  check                 kind     state       weight  output
  mysql 127.0.0.1:6446  mysql    down 3 min  100     flaps (2 times lately): ERR 2003: no backend
  router                process  unknown     fatal
)"));
}

/// The part of the page from the line that begins with `from` on.
std::string part(const std::string& text, const std::string& from) {
    const std::size_t at = text.find("\n" + from);
    return at == std::string::npos ? "" : text.substr(at + 1);
}

TEST(ShowStatus, ChecksFitAHundredColumnsWhateverTheySay) {
    control::Status status = well();
    std::string words;
    for (int i = 0; i < 60; ++i) words += "word" + std::to_string(i) + " ";
    const std::string solid(400, 'x');
    using control::CheckState;
    status.checks = {
        {"tcp 127.0.0.1:1", "tcp", CheckState::down, 999'999, false, words, {}, 0},
        {"tcp 127.0.0.1:2", "tcp", CheckState::up, 0, false, words, {}, 0},
        {"tcp " + std::string(59, 'y'), "tcp", CheckState::paused, 1, false, solid, {}, 0},
    };
    const std::string text = part(page(status), "  check ");
    EXPECT_THAT(text, Not(HasSubstr("kind"))) << "every name says it";
    std::size_t lines = 0;
    for (std::size_t at = 0; at < text.size(); ++lines) {
        const std::size_t end = text.find('\n', at);
        EXPECT_LE(width(text.substr(at, end - at)), 100U) << text.substr(at, end - at);
        at = end + 1;
    }
    EXPECT_EQ(lines, 1U + 3 + 1 + 1) << text;
    EXPECT_THAT(text, HasSubstr("…"));
}

TEST(ShowStatus, ACheckThatIsDownIsAProblemWithItsWords) {
    control::Status status = well();
    status.checks = {{"disk", "command", control::CheckState::down, 0, false, "DISK FULL", {}, 0},
                     {"proc", "process", control::CheckState::down, 1, true, "gone", {}, 0},
                     {"new", "tcp", control::CheckState::unknown, 1, false, "", {}, 0}};
    const std::string text = page(status);
    EXPECT_THAT(text, HasSubstr("- check disk down (only shown: its weight is 0): DISK FULL\n"));
    EXPECT_THAT(text, HasSubstr("- check proc down (fatal): gone\n"));
    EXPECT_THAT(text, Not(HasSubstr("check new")));
    status.node = "witness1";
    EXPECT_THAT(page(status), HasSubstr("all is well")) << "a witness has no checks";
}

TEST(ShowStatus, ARouterThatRunsAndDoesNotServe) {
    control::Status status = well();
    status.router.kind = "haproxy";
    status.router.state = control::RouterState::degraded;
    status.router.reason = "no check is up";
    status.router.process = control::ProcessStatus{};
    status.router.process->state = "running";
    EXPECT_THAT(page(status), HasSubstr("- router haproxy degraded: no check is up\n"
                                        "  what to do: see the checks below, and `journalctl -u "
                                        "hamrd`\n"));
    status.router.state = control::RouterState::serving;
    status.router.process->state = "failed";
    EXPECT_THAT(page(status), HasSubstr("- router haproxy failed: no check is up\n"));
}

TEST(ShowStatus, EachTroubleIsToldOnce) {
    control::Status status = well();
    status.groups[0].leader = "router2";
    status.router.state = control::RouterState::failed;
    status.router.reason = "haproxy exited with code 1";
    status.checks = {{"disk", "tcp", control::CheckState::down, 7, false, "full", {}, 0}};
    status.warnings = {
        {"haproxy exited with code 1", "it is started again by itself"},
        {"this node is demoted by 1007: haproxy exited with code 1; check disk: full; no carrier",
         "mend the cause"}};
    const std::string text = page(status);
    EXPECT_THAT(text.substr(0, text.find("\n\n")),
                testing::EndsWith("- check disk down: full\n"
                                  "  what to do: see what answers there\n"
                                  "- this node is demoted by 1007: no carrier\n"
                                  "  what to do: mend the cause"));
    status.warnings.pop_back();
    status.warnings.push_back(
        {"this node is demoted by 1007: haproxy exited with code 1; check disk: full", "mend it"});
    EXPECT_THAT(page(status), HasSubstr("- this node is demoted by 1007\n"));
    status.groups[0].leader = "router1";
    status.nodes[0].demotion = 1007;
    EXPECT_THAT(page(status), HasSubstr("- leader router1 demoted by 1007\n"));
    EXPECT_THAT(page(status), Not(HasSubstr("- this node is demoted")));
}

TEST(ShowStatus, LongReasonsAreBroken) {
    control::Status status = well();
    for (int i = 0; i < 30; ++i) status.groups[0].reason += " word" + std::to_string(i);
    EXPECT_THAT(page(status), HasSubstr(" word7 word8\n            word9 "));
}

TEST(ShowStatus, FlowsAreALineThatSaysHowFarBehindThePeersAre) {
    control::Status status = well();
    EXPECT_THAT(page(status), Not(HasSubstr(" here")));
    status.flows = control::FlowsStatus{812, 0, {{"router2", "synced", 0, 0.4, 0}}, 0, 0};
    EXPECT_THAT(page(status), HasSubstr("  flows     812 here, router2 has them 0.4 ms later\n"));
    status.flows->streams[0].lag_ms = 70;
    EXPECT_THAT(page(status), HasSubstr("812 here, router2 has them 70 ms later\n"));
    status.flows->streams[0].state = "connecting";
    EXPECT_THAT(page(status), HasSubstr("812 here, router2 does not have them (connecting)\n"));
    status.flows = control::FlowsStatus{0, 812, {{"router2", "synced", 0, 0.4, 0}}, 0, 3};
    EXPECT_THAT(page(status), HasSubstr("0 here, 812 held for others, 3 refused\n"));
}

TEST(ShowStatus, DrainedNodesArePlainAndNoProblem) {
    control::Status status = well();
    status.nodes[1].drained = true;
    EXPECT_THAT(page(status), HasSubstr(": all is well\n- router2 is drained: it does not lead "
                                        "until `hamr undrain` is run there\n"));
    status.nodes[0].drained = true;
    status.drain = {control::DrainStatus::State::drained, 0, {}, "3 connections were cut"};
    EXPECT_THAT(page(status), HasSubstr("- router1 (this node) is drained: it does not lead until "
                                        "`hamr undrain` is run\n  here; 3 connections were cut\n"
                                        "- router2 is drained"));
}

TEST(ShowStatus, ADrainOnItsWay) {
    control::Status status = well();
    status.drain = {control::DrainStatus::State::finishing, 12, 48'200.0, ""};
    EXPECT_THAT(page(status), HasSubstr("- router1 (this node) drains: 12 connections left, 48 s "
                                        "until the rest is cut\n"));
    status.drain = {control::DrainStatus::State::moving, 0, {}, "no other node can lead now"};
    EXPECT_THAT(page(status), HasSubstr("- router1 (this node) drains: leadership has not moved "
                                        "yet; no other node can\n  lead now\n"));
}

TEST(ShowStatus, NobodyLeadsSinceEveryRouterIsDrained) {
    control::Status status = well();
    status.groups[0].leader.reset();
    status.groups[0].state = control::GroupState::drained;
    status.nodes[0].drained = status.nodes[1].drained = true;
    EXPECT_THAT(page(status), HasSubstr("- nobody leads: every router is drained\n"
                                        "  what to do: run `hamr undrain` on one of them\n"));
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

TEST(Cut, CountsCharacters) {
    EXPECT_EQ(cut("abc", 3), "abc");
    EXPECT_EQ(cut("abcd", 3), "ab…");
    EXPECT_EQ(cut("éééé", 3), "éé…");
    EXPECT_EQ(cut("", 3), "");
    EXPECT_EQ(cut("abc", 1), "…");
}

TEST(Table, ColumnsCountCharactersNotBytes) {
    EXPECT_EQ(table({{{"é"}, {"x"}}, {{"ab"}, {"y"}}}, Paint(false), ""), "é   x\nab  y\n");
}

}  // namespace
}  // namespace hamr::cli
