// SPDX-License-Identifier: GPL-2.0-or-later
// The supervisor with real processes.

#include "router/io/instance_note.hpp"
#include "tests/unit/router/supervisor_fixture.hpp"

#include <algorithm>

#include <gmock/gmock.h>

namespace hamr::router_io::testing {

namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(SupervisorTest, starts_serves_and_stops) {
    shell("echo hello; exec sleep 1000");
    run();
    EXPECT_EQ(status().state, RunState::starting);
    supervisor_->serves();
    EXPECT_TRUE(until_state(RunState::running));
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    EXPECT_EQ(lines_.front(), "hello");
    const int pid = status().pid;
    supervisor_->want(false);
    EXPECT_TRUE(until_state(RunState::off));
    EXPECT_FALSE(lives(pid));
    EXPECT_TRUE(crashes_.empty());
    EXPECT_FALSE(std::filesystem::exists(state_file()));
}

TEST_F(SupervisorTest, a_kill_is_seen_told_and_answered_by_a_start) {
    shell("exec sleep 1000");
    run();
    const int first = status().pid;
    ::kill(first, SIGKILL);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != first; }));
    ASSERT_EQ(crashes_.size(), 1U);
    EXPECT_THAT(crashes_[0], StartsWith("router was killed by signal 9 (SIGKILL) after "));
    EXPECT_EQ(status().restarts, 1U);
}

TEST_F(SupervisorTest, an_exit_at_once_is_explained_by_its_output_and_given_up_in_the_end) {
    shell("echo starting; echo 'Error: port 6446 is taken' >&2; echo bye; exit 3");
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, StartsWith("router exited with code 3 after "));
    EXPECT_THAT(status().reason, HasSubstr("ms: Error: port 6446 is taken"));
    EXPECT_EQ(status().restarts, 4U);
    EXPECT_EQ(crashes_.size(), 5U);
    EXPECT_TRUE(status().next_start);
}

TEST_F(SupervisorTest, what_goes_into_the_background_is_named_and_ended) {
    const std::string word = "hamr-sup-" + std::to_string(::getpid()) + "-daemon";
    shell("setsid sh -c 'sleep 1000 # " + word + "' & exit 0");
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("went into the background"));
    EXPECT_EQ(count(word), 0U);
}

TEST_F(SupervisorTest, what_ignores_sigterm_is_killed_with_its_children) {
    const std::string word = "hamr-sup-" + std::to_string(::getpid()) + "-deaf";
    config_.stop_timeout = 200ms;
    shell("trap '' TERM; sh -c \"trap '' TERM; sleep 1000 # " + word +
          "\" & echo up; while :; do sleep 1; done # " + word);
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    supervisor_->want(false);
    EXPECT_TRUE(until_state(RunState::off));
    EXPECT_EQ(count(word), 0U);
    EXPECT_EQ(status().last_exit, "was killed by signal 9 (SIGKILL)");
    EXPECT_TRUE(crashes_.empty());
}

TEST_F(SupervisorTest, children_that_outlive_a_polite_stop_are_ended_politely) {
    shell(
        "sh -c 'trap \"echo child ends; exit\" TERM; echo up; while :; do sleep 0.05; done' & "
        "wait");
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    stop();
    EXPECT_EQ(status().state, RunState::off);
    EXPECT_THAT(lines_, Contains("child ends"));
}

TEST_F(SupervisorTest, a_flood_is_counted_not_kept) {
    shell("while :; do echo 0123456789; done");
    run();
    EXPECT_TRUE(until([&] {
        return std::any_of(lines_.begin(), lines_.end(), [](const std::string& line) {
            return line.find("lines dropped]") != std::string::npos;
        });
    }));
    EXPECT_LE(lines_.size(), 150U);
}

TEST_F(SupervisorTest, long_and_wild_lines_are_cut_and_made_printable) {
    shell(
        "printf '\\033[31mred\\tx\\n'; head -c 5000 /dev/zero | tr '\\0' a; echo; "
        "exec sleep 1000");
    run();
    EXPECT_TRUE(until([&] { return lines_.size() >= 2; }));
    EXPECT_EQ(lines_[0], "\\x1b[31mred x");
    EXPECT_LE(lines_[1].size(), 1100U);
    EXPECT_THAT(lines_[1], HasSubstr("a [cut]"));
}

TEST_F(SupervisorTest, a_missing_program_is_named) {
    plan_.argv = {"/usr/sbin/no-such-router", "-x"};
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_EQ(status().reason, "no such file: /usr/sbin/no-such-router");
    EXPECT_TRUE(crashes_.empty());
    plan_.argv = {"no-such-router"};
    supervisor_.reset();
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, StartsWith("no such program: no-such-router"));
}

TEST_F(SupervisorTest, a_program_that_may_not_or_cannot_be_run_is_named) {
    std::ofstream(path("plain")) << "no program";
    plan_.argv = {path("plain")};
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_EQ(status().reason, "no permission to run " + path("plain"));

    std::ofstream(path("script")) << "#!/no/such/shell\n";
    std::filesystem::permissions(path("script"), std::filesystem::perms(0755));
    plan_.argv = {path("script")};
    supervisor_.reset();
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("its interpreter or loader is missing"));
}

TEST_F(SupervisorTest, a_router_runs_as_its_user) {
    if (::geteuid() != 0) GTEST_SKIP() << "skipped: needs root";
    plan_.user = "nobody";
    shell("id -un; id -Gn; pwd; umask; echo $HOME; echo inherited=$NOTIFY_SOCKET; exec sleep 1000");
    ::setenv("NOTIFY_SOCKET", "/nowhere", 1);
    run();
    ::unsetenv("NOTIFY_SOCKET");
    EXPECT_TRUE(until([&] { return lines_.size() >= 6; }));
    EXPECT_THAT(lines_, ::testing::ElementsAre("nobody", "nogroup", "/", "0022", "/nonexistent",
                                               "inherited="));
    plan_.user = "no-such-user";
    stop();
    supervisor_.reset();
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_EQ(status().reason, "there is no user \"no-such-user\" on this host");
}

TEST_F(SupervisorTest, the_child_has_nothing_of_the_agents) {
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigaddset(&blocked, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    ::signal(SIGPIPE, SIG_IGN);
    shell(
        "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; echo; "
        "ps -o sid= -p $$ | tr -d ' '; echo $$; exec sleep 1000");
    run();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    EXPECT_TRUE(until([&] { return lines_.size() >= 5; }));
    EXPECT_THAT(lines_[0], HasSubstr("0000000000000000"));
    EXPECT_THAT(lines_[1], HasSubstr("0000000000000000"));
    EXPECT_EQ(lines_[2], "0 1 2 3 ") << "3 is the folder that ls reads";
    EXPECT_EQ(lines_[3], lines_[4]) << "leads a session of its own";
}

TEST_F(SupervisorTest, the_next_life_of_the_agent_adopts_it) {
    shell("echo one; sleep 0.3; echo two; exec sleep 1000");
    run();
    const int pid = status().pid;
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    supervisor_.reset();
    EXPECT_TRUE(lives(pid));
    make();
    EXPECT_EQ(status().pid, pid);
    EXPECT_TRUE(status().adopted);
    EXPECT_EQ(status().state, RunState::starting);
    supervisor_->serves();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::running));
    EXPECT_TRUE(until([&] { return lines_.size() >= 2; }));
    EXPECT_EQ(lines_[1], "two") << "its output goes on";
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
    EXPECT_EQ(crashes_.size(), 1U);
    EXPECT_FALSE(status().adopted);
}

TEST_F(SupervisorTest, one_with_other_arguments_is_ended_first) {
    shell("exec sleep 1000");
    run();
    const int pid = status().pid;
    supervisor_.reset();
    shell("exec sleep 2000");
    make();
    supervisor_->want(true);
    EXPECT_EQ(status().state, RunState::stopping);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
    EXPECT_FALSE(lives(pid));
    EXPECT_TRUE(crashes_.empty());
}

TEST_F(SupervisorTest, children_of_one_that_died_without_an_agent_are_ended_first) {
    const std::string word = "hamr-sup-" + std::to_string(::getpid()) + "-orphan";
    shell("sh -c 'sleep 1000 # " + word + "' & echo up; wait");
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    const int pid = status().pid;
    supervisor_.reset();
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    EXPECT_GE(count(word), 1U);
    shell("exec sleep 1000");
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until([&] { return status().pid > 0; }));
    EXPECT_EQ(count(word), 0U);
}

TEST_F(SupervisorTest, one_whose_start_the_agent_did_not_survive_is_known_by_its_marker) {
    shell("exec sleep 1000");
    run();
    const int pid = status().pid;
    supervisor_.reset();
    auto note = load_note(state_file());
    ASSERT_TRUE(note);
    note->id.pid = 0;
    note->id.start = 0;
    ASSERT_TRUE(save_note(state_file(), *note));
    make();
    EXPECT_EQ(status().pid, pid);
    EXPECT_TRUE(status().adopted);
    stop();
    EXPECT_FALSE(lives(pid));
}

TEST_F(SupervisorTest, a_pid_that_is_somebody_elses_by_now_is_left_alone) {
    shell("exec sleep 1000");
    run();
    const int pid = status().pid;
    auto note = load_note(state_file());
    supervisor_.reset();
    ASSERT_TRUE(note);
    note->id.start += 1;
    note->id.marker = "0123";
    ASSERT_TRUE(save_note(state_file(), *note));
    make();
    EXPECT_EQ(status().pid, 0);
    EXPECT_TRUE(lives(pid));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

TEST_F(SupervisorTest, a_note_is_read_as_it_was_written) {
    const InstanceNote note{"boot", {7, 8, "mark", true}, "nobody", {"/bin/x", "a=b%\n", "", "\r"}};
    const auto read = parse_note(render_note(note));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, note);
    const std::string text = render_note(note);
    for (std::size_t i = 0; i < text.size(); ++i) EXPECT_FALSE(parse_note(text.substr(0, i))) << i;
}

TEST_F(SupervisorTest, what_is_not_written_as_we_write_it_is_no_note) {
    const std::string good = render_note({"boot", {7, 8, "mark", true}, "nobody", {"/bin/x"}});
    ASSERT_TRUE(parse_note(good));
    const auto with = [&](const std::string& line, const std::string& other) {
        std::string text = good;
        return text.replace(text.find(line), line.size(), other);
    };
    EXPECT_FALSE(parse_note(with("pid=7\n", "pid=07\n")));
    EXPECT_FALSE(parse_note(with("pid=7\n", "pid=7\npid=9\n")));
    EXPECT_FALSE(parse_note(with("pid=7\nstart=8\n", "start=8\npid=7\n")));
    EXPECT_FALSE(parse_note(with("user=nobody\n", "")));
    EXPECT_FALSE(parse_note(with("user=nobody\n", "user=%6eobody\n")));
}

TEST_F(SupervisorTest, a_stale_or_broken_note_is_removed) {
    shell("exec sleep 1000");
    for (const char* text : {"", "garbage",
                             "hamr-instance 1\nboot=another\npid=1\nstart=1\n"
                             "marker=x\nuser=\nargv=init\nend\n"}) {
        std::ofstream(state_file()) << text;
        make();
        EXPECT_FALSE(std::filesystem::exists(state_file())) << text;
        EXPECT_EQ(status().pid, 0);
        supervisor_.reset();
    }
}

TEST_F(SupervisorTest, a_clean_up_ends_what_a_dead_agent_left) {
    const std::string word = "hamr-sup-" + std::to_string(::getpid()) + "-left";
    shell("sh -c \"trap '' TERM; sleep 1000 # " + word + "\" & echo up; wait");
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    const int pid = status().pid;
    supervisor_.reset();
    const auto ended = end_orphan(state_file(), 200ms);
    ASSERT_TRUE(ended) << ended.error().message();
    EXPECT_TRUE(*ended);
    EXPECT_FALSE(lives(pid));
    EXPECT_EQ(count(word), 0U);
    EXPECT_FALSE(std::filesystem::exists(state_file()));
    EXPECT_FALSE(std::filesystem::exists(state_file() + ".out"));
    EXPECT_FALSE(*end_orphan(state_file(), 200ms));
}

TEST_F(SupervisorTest, without_an_agent_its_output_neither_breaks_nor_blocks_it) {
    // More than the pipe holds. Errors of echo are expected, an end is not.
    shell("while [ ! -e " + path("go") +
          " ]; do sleep 0.02; done; i=0; while [ $i -lt 20000 ]; do "
          "echo 0123456789012345678901234567890123456789012345678901234567890123 2>/dev/null; "
          "i=$((i+1)); done; touch " +
          path("done") + "; exec sleep 1000");
    run();
    const int pid = status().pid;
    supervisor_.reset();
    std::ofstream(path("go")) << "go";
    EXPECT_TRUE(until([&] { return std::filesystem::exists(path("done")); }));
    EXPECT_TRUE(lives(pid));
}

TEST_F(SupervisorTest, a_reload_is_judged_first) {
    shell("trap 'echo reloaded' HUP; echo up; while :; do sleep 0.05; done");
    plan_.reload = router::SendSignal{SIGHUP};
    plan_.judge = {"/bin/sh", "-c",
                   "echo '[ALERT] bad line 3'; echo summary; test -e " + path("good")};
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    supervisor_->serves();
    std::optional<Result<>> result;
    const auto done = [&](Result<> it) { result = std::move(it); };
    supervisor_->reload(done);
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    ASSERT_FALSE(*result);
    EXPECT_THAT(result->error().message(), HasSubstr("refused"));
    EXPECT_THAT(result->error().message(), HasSubstr("[ALERT] bad line 3"));
    std::ofstream(path("good")) << "good";
    result.reset();
    supervisor_->reload(done);
    EXPECT_TRUE(until([&] { return result.has_value() && lines_.size() >= 2; }));
    EXPECT_TRUE(*result);
    EXPECT_EQ(lines_[1], "reloaded");
}

TEST_F(SupervisorTest, a_reload_is_a_restart_where_there_is_no_other) {
    shell("exec sleep 1000");
    run();
    const int pid = status().pid;
    std::optional<Result<>> result;
    supervisor_->reload([&](Result<> it) { result = std::move(it); });
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    EXPECT_TRUE(*result);
    EXPECT_NE(status().pid, pid);
    EXPECT_GT(status().pid, 0);
    EXPECT_EQ(status().restarts, 0U);
    EXPECT_TRUE(crashes_.empty());
}

TEST_F(SupervisorTest, a_drain_lets_it_finish_and_cuts_it_at_the_deadline) {
    shell("trap 'echo finishing; sleep 0.2; exit 0' USR1; echo up; while :; do sleep 0.02; done");
    plan_.finish = router::SendSignal{SIGUSR1};
    plan_.ends_when_finished = true;
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    supervisor_->serves();
    supervisor_->finish(BootClock::now() + 10s);
    EXPECT_EQ(status().state, RunState::finishing);
    EXPECT_TRUE(until_state(RunState::off));
    EXPECT_THAT(lines_, Contains("finishing"));
    EXPECT_TRUE(crashes_.empty());

    plan_.finish = {};
    shell("exec sleep 1000");
    supervisor_.reset();
    run();
    supervisor_->finish(BootClock::now() + 100ms);
    EXPECT_EQ(status().state, RunState::finishing);
    EXPECT_TRUE(until_state(RunState::off));
    EXPECT_TRUE(crashes_.empty());
}

TEST_F(SupervisorTest, an_admin_side_that_fails_is_replaced_by_sigterm) {
    shell("exec sleep 1000");
    plan_.stop = router::AdminCommand{"PROXYSQL SHUTDOWN"};
    config_.kind = router::ProviderKind::proxysql;
    run();
    stop();
    EXPECT_TRUE(std::any_of(seen_.begin(), seen_.end(), [](const SupervisorStatus& status) {
        return status.reason.find("so it was sent SIGTERM") != std::string::npos;
    }));
    EXPECT_EQ(status().state, RunState::off);
}

TEST_F(SupervisorTest, it_may_be_wanted_again_while_it_stops) {
    shell("trap 'sleep 0.2; exit 0' TERM; echo up; while :; do sleep 0.02; done");
    run();
    EXPECT_TRUE(until([&] { return !lines_.empty(); }));
    const int pid = status().pid;
    supervisor_->want(false);
    supervisor_->want(true);
    EXPECT_EQ(status().state, RunState::stopping);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
}

/// Printed for who wants to know; asserted only generously, on a machine that others use.
TEST_F(SupervisorTest, an_exit_is_heard_at_once) {
    shell("exec sleep 1000");
    std::vector<double> ms;
    for (int round = 0; round < 20; ++round) {
        run();
        const std::size_t before = crashes_.size();
        const BootTime killed = BootClock::now();
        ::kill(status().pid, SIGKILL);
        ASSERT_TRUE(until([&] { return crashes_.size() > before; }));
        ms.push_back(to_ms(crashed_at_ - killed));
        stop();
        supervisor_.reset();
    }
    std::sort(ms.begin(), ms.end());
    std::printf("kill to callback: median %.3f ms, worst %.3f ms\n", ms[ms.size() / 2], ms.back());
    EXPECT_LT(ms[ms.size() / 2], 50.0);
}

}  // namespace

}  // namespace hamr::router_io::testing
