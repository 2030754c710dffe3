// SPDX-License-Identifier: GPL-2.0-or-later
// What the supervision machine promises, one behaviour each.

#include "tests/unit/router/supervision_machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router::testing {

namespace {

using ::testing::HasSubstr;

TEST(Supervision, starts_what_is_wanted_and_knows_when_it_serves) {
    Machine m;
    EXPECT_EQ(m(input::Want{true}), "") << "it may be running already";
    EXPECT_EQ(m(input::FoundNothing{}), "S");
    EXPECT_EQ(m(input::Started{42}), "");
    EXPECT_EQ(m.state(), RunState::starting);
    EXPECT_EQ(m.status().pid, 42);
    m(input::Serves{});
    EXPECT_EQ(m.state(), RunState::running);
}

TEST(Supervision, ends_that_nobody_asked_for_are_answered_later_and_later) {
    Machine m;
    m.start();
    m.now += 20s;
    EXPECT_EQ(m.crash(), "CES") << "the first at once";
    std::vector<Duration> pauses;
    for (int i = 0; i < 10; ++i) {
        m(input::Started{101});
        m.now += 20s;  // three starts a minute: within the budget
        m.crash();
        ASSERT_EQ(m.state(), RunState::waiting);
        pauses.push_back(*m.status().next_start - m.now);
        EXPECT_EQ(m.pass(pauses.back()), "S");
    }
    EXPECT_EQ(pauses, (std::vector<Duration>{100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms,
                                             12800ms, 25600ms, 30s}));
    EXPECT_EQ(m.status().restarts, 11U);
}

TEST(Supervision, a_minute_well_spent_forgets_them) {
    Machine m;
    m.start();
    m.crash();
    m(input::Started{101});
    m.now += 60s;
    EXPECT_EQ(m.crash(), "CES");
}

TEST(Supervision, the_budget_of_starts_is_five_a_minute) {
    Machine m;
    m.start();
    for (int i = 0; i < 4; ++i) {
        m.crash();
        m.pass(5s);
        EXPECT_EQ(m.state(), RunState::starting);
        m(input::Started{101});
    }
    m.crash();
    EXPECT_EQ(m.state(), RunState::failed);
    EXPECT_THAT(m.status().reason, HasSubstr("exited with code 1"));
    EXPECT_EQ(m.pass(59s), "");
    EXPECT_EQ(m.pass(1s), "S") << "tried once a minute";
    m(input::Started{102});
    EXPECT_EQ(m.crash(), "CE");
    EXPECT_EQ(m.state(), RunState::failed);
}

TEST(Supervision, a_reload_forgets_an_exhausted_budget) {
    Machine m;
    m.start();
    for (int i = 0; i < 4; ++i) {
        m.crash();
        m.pass(5s);
        m(input::Started{101});
    }
    m.crash();
    ASSERT_EQ(m.state(), RunState::failed);
    EXPECT_EQ(m(input::Reload{}), "J");
    EXPECT_EQ(m(input::Judged{}), "S");
    EXPECT_EQ(m(input::Started{102}), "R+");
    EXPECT_EQ(m.crash(), "CES");
}

TEST(Supervision, a_start_that_fails_is_no_crash_but_counts) {
    Machine m;
    m(input::FoundNothing{});
    m(input::Want{true});
    EXPECT_EQ(m(input::StartFailed{"no such file: /x"}), "S");
    for (int i = 0; i < 4; ++i) {
        m(input::StartFailed{"no such file: /x"});
        m.pass(5s);
    }
    EXPECT_EQ(m.state(), RunState::failed);
    EXPECT_EQ(m.status().reason, "no such file: /x");
}

TEST(Supervision, what_ends_at_once_is_named_so_with_what_it_said) {
    Machine m;
    m.start();
    m.now += 40ms;
    m.crash();
    EXPECT_EQ(m.status().reason, "router exited with code 1 after 40 ms: Error: port");
    EXPECT_EQ(m.status().last_exit, "exited with code 1 after 40 ms: Error: port");
}

TEST(Supervision, what_goes_into_the_background_is_named) {
    auto settings = Machine::defaults();
    settings.background_remedy = "remove `daemon` from its configuration";
    Machine m(settings);
    m.start();
    m.now += 30ms;
    EXPECT_EQ(m(input::Exited{"exited with code 0", true, ""}), "CE");
    EXPECT_EQ(m(input::Gone{1, ""}), "S");
    EXPECT_EQ(m.status().reason,
              "router went into the background: remove `daemon` from its configuration");
}

TEST(Supervision, nothing_is_started_before_the_old_one_is_gone) {
    Machine m;
    m.start();
    EXPECT_EQ(m(input::Exited{"was killed by signal 9 (SIGKILL)", false, ""}), "CE");
    EXPECT_EQ(m(input::Want{true}), "");
    EXPECT_EQ(m(input::Reload{}), "J");
    EXPECT_EQ(m(input::Judged{}), "");
    EXPECT_EQ(m.pass(100ms), "");
    EXPECT_EQ(m(input::Gone{}), "S");
}

TEST(Supervision, a_stop_is_asked_for_then_forced) {
    Machine m;
    m.start();
    EXPECT_EQ(m(input::Want{false}), "Qs");
    EXPECT_EQ(m.pass(9999ms), "");
    EXPECT_EQ(m.pass(1ms), "K");
    EXPECT_EQ(m.pass(2s), "KK") << "again every second";
    EXPECT_EQ(m(input::Exited{"was killed by signal 9 (SIGKILL)", false, ""}), "Ep");
    EXPECT_EQ(m(input::Gone{}), "");
    EXPECT_EQ(m.state(), RunState::off);
    EXPECT_EQ(m.status().restarts, 0U);
}

TEST(Supervision, a_stop_is_answered_also_when_nothing_helps) {
    Machine m;
    m.start();
    EXPECT_EQ(m(input::Stop{}), "Qs");
    EXPECT_EQ(m.pass(11s), "KDK");
    EXPECT_EQ(m.status().reason, "does not end, not even when killed");
}

TEST(Supervision, a_stop_of_what_does_not_run_is_answered_at_once) {
    Machine m;
    m(input::FoundNothing{});
    EXPECT_EQ(m(input::Stop{}), "D");
}

TEST(Supervision, a_drain_that_is_done_stays_off) {
    Machine m;
    m.start();
    m.now += Supervision::settled_unserved;
    EXPECT_EQ(m(input::Finish{m.now + 60s}), "Qf");
    EXPECT_EQ(m.state(), RunState::finishing);
    EXPECT_EQ(m(input::Want{false}), "") << "goes on";
    EXPECT_EQ(m(input::Exited{"exited with code 0", true, ""}), "Ep");
    EXPECT_EQ(m(input::Gone{}), "");
    EXPECT_EQ(m.state(), RunState::off);
    EXPECT_EQ(m(input::Want{true}), "S");
}

TEST(Supervision, a_drain_is_cut_at_its_deadline) {
    Machine m;
    m.start();
    m.now += Supervision::settled_unserved;
    m(input::Finish{m.now + 60s});
    EXPECT_EQ(m.pass(59s), "");
    EXPECT_EQ(m.pass(1s), "Qs");
    EXPECT_EQ(m.status().reason, "its connections did not finish in time");
}

TEST(Supervision, a_drain_is_taken_back) {
    Machine restarted;
    restarted.start();
    restarted.now += Supervision::settled_unserved;
    restarted(input::Finish{restarted.now + 60s});
    EXPECT_EQ(restarted(input::Want{true}), "Qs") << "its ports are shut: restarted";

    auto settings = Machine::defaults();
    settings.can_resume = true;
    Machine resumed(settings);
    resumed.start();
    resumed(input::Serves{});
    resumed.now += Supervision::settled;
    resumed(input::Finish{resumed.now + 60s});
    EXPECT_EQ(resumed(input::Want{true}), "Qu");
    EXPECT_EQ(resumed.state(), RunState::running);
    EXPECT_EQ(resumed(input::Answered{Ask::resume, fail("hangs")}), "Qs");

    settings.can_finish = settings.can_resume = false;
    Machine untouched(settings);
    untouched.start();
    untouched(input::Serves{});
    EXPECT_EQ(untouched(input::Finish{untouched.now + 60s}), "");
    EXPECT_EQ(untouched.state(), RunState::finishing);
    EXPECT_EQ(untouched(input::Want{true}), "");
    EXPECT_EQ(untouched.state(), RunState::running);
}

TEST(Supervision, an_end_during_a_drain_that_has_none_of_its_own_is_told) {
    auto settings = Machine::defaults();
    settings.can_finish = false;
    Machine m(settings);
    m.start();
    m.now += Supervision::settled_unserved;
    m(input::Finish{m.now + 60s});
    EXPECT_EQ(m.crash(), "CE");
    EXPECT_EQ(m.state(), RunState::off) << "and not started again";
}

TEST(Supervision, what_is_just_starting_is_not_asked_for_anything_but_to_stop) {
    Machine m;
    m.start();
    m(input::Reload{});
    EXPECT_EQ(m(input::Judged{}), "") << "it would lose the signal, or die of it";
    EXPECT_EQ(m.pass(1s), "");
    m(input::Serves{});
    EXPECT_EQ(m.pass(249ms), "");
    EXPECT_EQ(m.pass(1ms), "Qr");
    EXPECT_EQ(m(input::Answered{Ask::reload, {}}), "R+");

    Machine unserved;
    unserved.start();
    EXPECT_EQ(unserved(input::Finish{unserved.now + 60s}), "");
    EXPECT_EQ(unserved.state(), RunState::finishing);
    EXPECT_EQ(unserved.pass(2s), "Qf");

    Machine taken_back;
    taken_back.start();
    taken_back(input::Finish{taken_back.now + 60s});
    EXPECT_EQ(taken_back(input::Want{true}), "") << "it never heard of it";
    EXPECT_EQ(taken_back.state(), RunState::starting);
    EXPECT_EQ(taken_back.pass(10s), "");

    Machine stopped;
    stopped.start();
    EXPECT_EQ(stopped(input::Stop{}), "Qs");
}

TEST(Supervision, an_adopted_one_goes_on_until_somebody_decides) {
    Machine m;
    EXPECT_EQ(m(input::FoundRunning{7, m.now - 300s}), "");
    EXPECT_EQ(m.state(), RunState::starting);
    EXPECT_TRUE(m.status().adopted);
    EXPECT_EQ(m.status().since, m.now - 300s);
    EXPECT_EQ(m(input::Want{true}), "");
    EXPECT_EQ(m(input::Want{false}), "Qs");
}

TEST(Supervision, another_one_is_ended_before_the_right_one_starts) {
    Machine m;
    EXPECT_EQ(m(input::FoundOther{7, "it runs with other arguments than it should"}), "Qs");
    EXPECT_EQ(m(input::Want{true}), "");
    EXPECT_EQ(m(input::Exited{"exited with code 0", true, ""}), "Ep");
    EXPECT_EQ(m(input::Gone{}), "S");
}

TEST(Supervision, where_systemd_restarts_nobody_else_does) {
    Machine m;
    m.start();
    m(input::Serves{});
    EXPECT_EQ(m(input::Restarting{"exited with code 1"}), "C");
    EXPECT_EQ(m.state(), RunState::waiting);
    EXPECT_EQ(m.pass(600s), "");
    EXPECT_EQ(m(input::Started{9}), "");
    EXPECT_EQ(m.status().restarts, 1U);
    m(input::Restarting{"exited with code 1"});
    EXPECT_EQ(m(input::Gone{0, "failed too often"}), "S") << "until systemd gives up";
    EXPECT_THAT(m.status().reason, HasSubstr("failed too often"));
}

TEST(Supervision, a_bad_configuration_is_not_loaded) {
    Machine m;
    m.start();
    EXPECT_EQ(m(input::Reload{}), "J");
    EXPECT_EQ(m(input::Judged{fail("line 3")}), "R-");
    EXPECT_EQ(m.state(), RunState::starting);
}

TEST(Supervision, a_reload_without_a_way_of_its_own_is_a_restart) {
    auto settings = Machine::defaults();
    settings.can_reload = settings.can_judge = false;
    Machine m(settings);
    m.start();
    EXPECT_EQ(m(input::Reload{}), "Qs");
    EXPECT_EQ(m(input::Exited{"exited with code 0", true, ""}), "Ep");
    EXPECT_EQ(m(input::Gone{}), "S");
    EXPECT_EQ(m(input::Started{8}), "R+");
    EXPECT_EQ(m.status().restarts, 0U);
}

TEST(Supervision, every_reload_is_answered) {
    for (const bool can_reload : {false, true}) {
        for (const bool wanted : {false, true}) {
            auto settings = Machine::defaults();
            settings.can_reload = can_reload;
            Machine m(settings);
            m.start();
            m.crash();
            m(input::StartFailed{"no such file"});
            std::string text = m(input::Reload{});
            m(input::Want{wanted});
            text += m(input::Judged{});
            if (wanted) text += m(input::StartFailed{"no such file"});
            EXPECT_THAT(text, HasSubstr("R")) << can_reload << wanted;
        }
    }
}

}  // namespace

}  // namespace hamr::router::testing
