// SPDX-License-Identifier: GPL-2.0-or-later
// What a unit's states mean.

#include "router/unit_follower.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router {

namespace {

using ::testing::HasSubstr;

struct Name {
    std::string operator()(const input::FoundNothing&) const { return "nothing"; }
    std::string operator()(const input::FoundRunning& it) const {
        return "found " + std::to_string(it.pid);
    }
    std::string operator()(const input::Lost&) const { return "lost"; }
    std::string operator()(const input::Started& it) const {
        return "started " + std::to_string(it.pid);
    }
    std::string operator()(const input::StartFailed& it) const { return "failed: " + it.why; }
    std::string operator()(const input::Exited& it) const { return "exited: " + it.how; }
    std::string operator()(const input::Gone& it) const { return "gone: " + it.how; }
    std::string operator()(const input::Restarting& it) const { return "restarting: " + it.how; }
    template <class Other>
    std::string operator()(const Other&) const {
        return "?";
    }
};

std::string words(const std::vector<Input>& inputs) {
    std::string text;
    for (const Input& it : inputs) text += (text.empty() ? "" : "; ") + std::visit(Name{}, it);
    return text;
}

UnitReading reading(const std::string& active, const std::string& sub = "", int pid = 0,
                    const std::string& result = "success", const std::string& end = "") {
    return {"loaded", active, sub, result, pid, long_ago, end};
}
const UnitReading inactive = reading("inactive", "dead");
const UnitReading running = reading("active", "running", 7);

struct UnitFollowerTest : ::testing::Test {
    std::string observe(const UnitReading& it) { return words(follower.observe(it)); }
    void start() {
        observe(inactive);
        follower.start_asked();
        observe(running);
    }
    UnitFollower follower{"r.service"};
};

TEST_F(UnitFollowerTest, the_first_reading_tells_what_is_there) {
    const std::vector<std::pair<UnitReading, std::string>> rows = {
        {inactive, "nothing"},
        {running, "found 7"},
        {reading("activating", "start"), "found 0"},
        {reading("activating", "auto-restart"), "nothing"},
        {reading("deactivating", "stop-sigterm", 7), "found 7"},
        {reading("failed", "failed"), "nothing"},
    };
    for (const auto& [first, expected] : rows) {
        EXPECT_EQ(words(UnitFollower("r.service").observe(first)), expected)
            << first.active << " " << first.sub;
    }
}

TEST_F(UnitFollowerTest, a_start_is_told_once) {
    observe(inactive);
    follower.start_asked();
    EXPECT_EQ(observe(inactive), "") << "the job has not run yet";
    EXPECT_EQ(observe(reading("activating", "start", 7)), "started 7");
    EXPECT_EQ(observe(running), "");
    follower.job_ended("done");
    EXPECT_EQ(observe(running), "");
    EXPECT_EQ(observe(reading("active", "running", 8)), "started 8") << "another main process";
}

TEST_F(UnitFollowerTest, a_start_that_fails_is_told_when_its_job_ends) {
    observe(inactive);
    follower.start_asked();
    const auto failed = reading("failed", "failed", 0, "exit-code", "exited with code 3");
    EXPECT_EQ(observe(failed), "") << "may be the state of before";
    follower.job_ended("failed");
    EXPECT_EQ(observe(failed),
              "failed: r.service did not start (failed): it exited with code 3; see: journalctl -u "
              "r.service");
    EXPECT_EQ(observe(failed), "");
}

TEST_F(UnitFollowerTest, one_that_cannot_be_loaded_is_named) {
    for (const auto& [load, expected] :
         std::vector<std::pair<std::string, std::string>>{{"not-found", "there is no unit"},
                                                          {"masked", "systemctl unmask"},
                                                          {"bad-setting", "is wrong"}}) {
        UnitFollower it("r.service");
        UnitReading bad = inactive;
        bad.load = load;
        EXPECT_EQ(words(it.observe(bad)), "nothing");
        it.start_asked();
        it.job_ended("failed");
        EXPECT_THAT(words(it.observe(bad)), HasSubstr(expected));
    }
    follower.start_asked();
    EXPECT_EQ(words(follower.start_refused("no")), "failed: no");
    EXPECT_EQ(words(follower.start_refused("no")), "");
}

TEST_F(UnitFollowerTest, an_end_is_told_by_the_kernel_then_explained_by_systemd) {
    start();
    EXPECT_EQ(words(follower.main_ended()), "exited: ended");
    EXPECT_EQ(words(follower.main_ended()), "");
    EXPECT_EQ(observe(running), "") << "systemd has not seen it yet";
    EXPECT_EQ(observe(reading("failed", "failed", 0, "signal", "was killed by signal 9")),
              "gone: was killed by signal 9");
}

TEST_F(UnitFollowerTest, an_end_that_only_systemd_tells) {
    start();
    EXPECT_EQ(observe(reading("failed", "failed", 0, "oom-kill")),
              "exited: was killed for lack of memory (oom-kill); "
              "gone: was killed for lack of memory (oom-kill)");
}

TEST_F(UnitFollowerTest, an_auto_restart_is_waited_for) {
    start();
    const auto waiting =
        reading("activating", "auto-restart", 0, "exit-code", "exited with code 1");
    EXPECT_EQ(words(follower.main_ended()), "exited: ended");
    EXPECT_EQ(observe(waiting), "restarting: exited with code 1");
    EXPECT_EQ(observe(waiting), "");
    EXPECT_EQ(observe(reading("active", "running", 9)), "started 9");
    observe(waiting);
    EXPECT_EQ(observe(reading("failed", "failed", 0, "start-limit-hit")),
              "gone: failed too often for systemd (start-limit-hit)");
}

TEST_F(UnitFollowerTest, a_stop_of_what_is_down_is_answered_all_the_same) {
    observe(inactive);
    follower.stop_asked();
    EXPECT_EQ(observe(inactive), "gone: ");
    EXPECT_EQ(observe(inactive), "");
}

TEST_F(UnitFollowerTest, a_lost_bus_is_told_once_and_so_is_its_return) {
    start();
    EXPECT_EQ(words(follower.lost("no bus")), "lost");
    EXPECT_EQ(words(follower.lost("no bus")), "");
    EXPECT_EQ(observe(running), "started 7");
    EXPECT_EQ(observe(running), "");
}

}  // namespace

}  // namespace hamr::router
