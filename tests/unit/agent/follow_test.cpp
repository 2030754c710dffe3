// SPDX-License-Identifier: GPL-2.0-or-later
// What `hamr drain` says from one status to the next.
#include "agent/cli/follow.hpp"

#include "agent/cli/exit_codes.hpp"
#include "tests/unit/agent/sample.hpp"

#include <string>

#include <gmock/gmock.h>

namespace hamr::cli {
namespace {

using control::DrainStatus;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Drain = DrainStatus::State;
using Time = DrainFollower::Time;

/// router1 leads the one group.
control::Status leads(const char* leader, DrainStatus drain = {}) {
    control::Status status = test::sample_status();
    status.groups.resize(1);
    status.groups[0].leader = leader;
    status.drain = std::move(drain);
    return status;
}

TEST(DrainFollower, ADrainFromBeginningToEnd) {
    DrainFollower follower(leads("router1"));
    const Time start{};
    auto step = follower.look(leads("router1", {Drain::moving, 0, {}, ""}), start);
    EXPECT_THAT(step.lines, IsEmpty());
    EXPECT_EQ(step.progress, "router1: leadership has not moved yet");
    EXPECT_FALSE(step.end);
    step = follower.look(leads("router2", {Drain::finishing, 12, 48'900.0, ""}), start);
    EXPECT_THAT(step.lines, ElementsAre("router1: leadership moved to router2"));
    EXPECT_EQ(step.progress, "router1: 12 connections left, 48 s until the rest is cut");
    step = follower.look(leads("router2", {Drain::finishing, 1, 900.0, ""}), start);
    EXPECT_THAT(step.lines, IsEmpty()) << "each piece of news once";
    EXPECT_EQ(step.progress, "router1: 1 connection left, 0 s until the rest is cut");
    step = follower.look(leads("router2", {Drain::drained, 0, {}, "1 connection was cut"}), start);
    EXPECT_THAT(step.lines, ElementsAre("router1: drained; 1 connection was cut"));
    EXPECT_EQ(step.end, exit_done);
}

TEST(DrainFollower, SeveralGroupsAreNamed) {
    control::Status before = test::sample_status();
    before.groups[1].leader = "router1";
    DrainFollower follower(before);
    control::Status after = before;
    after.drain.state = Drain::finishing;
    after.groups[0].leader.reset();
    after.groups[1].leader = "router2";
    EXPECT_THAT(follower.look(after, Time{}).lines,
                ElementsAre("router1: group reads: leadership moved to router2"));
    after.groups[0].leader = "router2";
    EXPECT_THAT(follower.look(after, Time{}).lines,
                ElementsAre("router1: group default: leadership moved to router2"));
}

TEST(DrainFollower, ANodeThatLedNothingHasNoMoves) {
    DrainFollower follower(leads("router2"));
    EXPECT_THAT(follower.look(leads("router3", {Drain::finishing, 0, {}, ""}), Time{}).lines,
                IsEmpty());
}

TEST(DrainFollower, LeadershipThatComesBackIsToldAndEndsInAFailure) {
    DrainFollower follower(leads("router1"));
    const Time start{};
    static_cast<void>(follower.look(leads("router2", {Drain::finishing, 3, 9.0, ""}), start));
    const control::Status back = leads("router1", {Drain::moving, 3, {}, "no other node can lead"});
    auto step = follower.look(back, start);
    EXPECT_THAT(step.lines, ElementsAre("router1: leads again"));
    EXPECT_EQ(step.progress, "router1: leadership has not moved yet; no other node can lead");
    step = follower.look(back, start + DrainFollower::longest_move - seconds(1));
    EXPECT_FALSE(step.end);
    step = follower.look(back, start + DrainFollower::longest_move);
    EXPECT_EQ(step.end, exit_failed);
    EXPECT_EQ(step.error, "router1: leadership has not moved; no other node can lead");
    EXPECT_EQ(step.remedy, "it moves once another node can lead; `hamr undrain` ends the drain");
}

TEST(DrainFollower, AnUndrainFromElsewhereIsAFailure) {
    DrainFollower follower(leads("router1"));
    const auto step = follower.look(leads("router1"), Time{});
    EXPECT_EQ(step.end, exit_failed);
    EXPECT_EQ(step.error, "router1 is not drained any more: somebody has run `hamr undrain`");
}

TEST(DrainFollower, ConnectionsThatOutlastTheirLimitAreNotWaitedForWithoutEnd) {
    DrainFollower follower(leads("router1"));
    const control::Status stuck = leads("router2", {Drain::finishing, 2, 0.0, ""});
    const Time start{};
    EXPECT_FALSE(follower.look(stuck, start).end);
    EXPECT_FALSE(follower.look(stuck, start + DrainFollower::longest_cut - seconds(1)).end);
    const auto step = follower.look(stuck, start + DrainFollower::longest_cut);
    EXPECT_EQ(step.end, exit_failed);
    EXPECT_EQ(step.error, "router1: 2 connections should have been cut and are still there");
}

}  // namespace
}  // namespace hamr::cli
