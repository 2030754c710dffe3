// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/health/asking.hpp"

#include <csignal>

#include <pwd.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace hamr::health_io {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

health::CommandProbe shell(const std::string& script) {
    health::CommandProbe what;
    what.argv = {"sh", "-c", script};
    return what;
}

class CommandProbeTest : public AskingTest {
  protected:
    ~CommandProbeTest() override {
        // Neither a process nor a zombie of ours is left.
        EXPECT_TRUE(run_until([] {
            siginfo_t info{};
            return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0;
        }));
        ::unlink(file_.c_str());
    }

    /// Waits for the process whose id a script has written into file_ to have ended; whoever has
    /// adopted it may take its time to reap it.
    bool is_gone() {
        std::ifstream file(file_);
        int pid = 0;
        file >> pid;
        EXPECT_GT(pid, 0);
        return run_until([pid] {
            std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
            std::string text((std::istreambuf_iterator<char>(stat)), {});
            return text.empty() || text.find(") Z ") != std::string::npos;
        });
    }

    std::string file_ = testing::TempDir() + "hamr-command-" + std::to_string(::getpid());
};

TEST_F(CommandProbeTest, exit_codes_decide_as_for_nagios) {
    EXPECT_THAT(ask(shell("echo 'OK - all fine | time=3ms'")), IsUp("OK - all fine"));
    EXPECT_THAT(ask(shell("exit 0")), IsUp("sh exited with 0"));
    EXPECT_THAT(ask(shell("echo slow; exit 1")), IsDown("exit code 1 (warning): slow"));
    EXPECT_THAT(ask(shell("echo dead; exit 2")), IsDown("exit code 2 (critical): dead"));
    EXPECT_THAT(ask(shell("exit 3")), IsDown("sh: exit code 3 (unknown)"));
    EXPECT_THAT(ask(shell("exit 77")), IsDown("sh: exit code 77"));
    health::CommandProbe lenient = shell("echo slow; exit 1");
    lenient.warning_is_up = true;
    EXPECT_THAT(ask(lenient), IsUp("exit code 1 (warning): slow"));
    lenient = shell("exit 2");
    lenient.warning_is_up = true;
    EXPECT_FALSE(ask(lenient).ok);
}

TEST_F(CommandProbeTest, its_words_are_the_first_line_said_else_the_last_complaint) {
    EXPECT_THAT(ask(shell("echo first; echo second; echo oops >&2")), IsUp("first"));
    EXPECT_THAT(ask(shell("echo one >&2; echo two >&2; exit 2")),
                IsDown("exit code 2 (critical): two"));
    EXPECT_THAT(ask(shell("printf '\\033[31mred\\007\\n'")), IsUp("?[31mred?"));
    EXPECT_THAT(ask(shell("head -c 3000 /dev/zero | tr '\\0' x")), IsUp(EndsWith("xxx...")));
}

TEST_F(CommandProbeTest, a_signal_is_named) {
    EXPECT_THAT(ask(shell("echo dying; kill -SEGV $$")),
                IsDown("sh was killed by signal 11 (SIGSEGV): dying"));
}

TEST_F(CommandProbeTest, what_cannot_be_started_is_named) {
    health::CommandProbe what;
    EXPECT_THAT(ask(what), IsDown("no program is named"));
    what.argv = {"/nowhere/check_mysql"};
    EXPECT_THAT(ask(what), IsDown("no such file: /nowhere/check_mysql"));
    what.argv = {"check_that_nobody_has"};
    EXPECT_THAT(ask(what), IsDown(StartsWith("no such program: check_that_nobody_has")));
    what.argv = {"/etc/passwd"};
    EXPECT_THAT(ask(what), IsDown("no permission to run /etc/passwd"));
    std::ofstream(file_) << "#!/nowhere/interpreter\n";
    ::chmod(file_.c_str(), 0755);
    what.argv = {file_};
    EXPECT_THAT(ask(what), IsDown(file_ + " cannot be run: its interpreter or loader is missing"));
    std::ofstream(file_) << "neither script nor program\n";
    EXPECT_THAT(ask(what), IsDown(HasSubstr("is not a program")));
    what.argv = {"true"};
    what.user = "nobody-has-this-name";
    EXPECT_THAT(ask(what), IsDown(StartsWith("there is no user \"nobody-has-this-name\"")));
}

TEST_F(CommandProbeTest, one_that_hangs_is_killed_with_all_its_children) {
    EXPECT_THAT(ask(shell("trap '' TERM INT HUP; echo waiting; sleep 300 & echo $! > " + file_ +
                          "; wait; sleep 300"),
                    milliseconds(300)),
                IsDown("sh did not end within 300 ms and was killed: waiting"));
    EXPECT_TRUE(is_gone());
}

TEST_F(CommandProbeTest, children_that_stay_behind_are_killed_and_not_waited_for) {
    // The child holds the pipes open.
    EXPECT_THAT(ask(shell("sleep 300 & echo $! > " + file_ + "; echo done")), IsUp("done"));
    EXPECT_TRUE(is_gone());
}

TEST_F(CommandProbeTest, a_flood_is_ended) {
    EXPECT_THAT(ask(shell("yes")), IsDown("sh wrote more than 1 MiB and was killed"));
    EXPECT_THAT(ask(shell("yes complaint >&2")), IsDown(HasSubstr("more than 1 MiB")));
    EXPECT_THAT(ask(shell("head -c 200000 /dev/zero | tr '\\0' x; exit 0")), IsUp(EndsWith("...")))
        << "more than a pipe holds, and well";
}

TEST_F(CommandProbeTest, cancel_kills_it) {
    const auto probe =
        make_probe(io_.get_executor(), shell("echo $$ > " + file_ + "; exec sleep 300"));
    probe->run(milliseconds(60'000), [](const health::ProbeResult&) { FAIL(); });
    ASSERT_TRUE(run_until([this] { return ::access(file_.c_str(), F_OK) == 0; }));
    ASSERT_TRUE(run_until([this] {
        int pid = 0;
        return static_cast<bool>(std::ifstream(file_) >> pid);
    }));
    probe->cancel();
    EXPECT_TRUE(is_gone());
}

TEST_F(CommandProbeTest, it_inherits_nothing_of_the_agent_s) {
    const int leak = ::open("/dev/null", O_RDONLY);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    const auto before = ::signal(SIGPIPE, SIG_IGN);
    ::setenv("HAMR_SECRET", "x", 1);
    // ls itself opens the directory.
    EXPECT_THAT(ask(shell("ls /proc/self/fd | tr '\\n' ' '; env | grep -c SECRET; pwd")),
                IsUp("0 1 2 3 0"));
    EXPECT_THAT(ask(shell("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t\\n'")),
                IsUp("SigBlk:0000000000000000SigIgn:0000000000000000"));
    EXPECT_THAT(ask(shell("echo $(ps -o pgid= -p $$) = $$; umask")), IsUp(Not(HasSubstr("x"))));
    ::unsetenv("HAMR_SECRET");
    ::signal(SIGPIPE, before);
    ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
    ::close(leak);
}

TEST_F(CommandProbeTest, it_runs_in_a_group_of_its_own) {
    // The fifth field of stat.
    EXPECT_THAT(ask(shell("set -- $(cat /proc/$$/stat); test $5 = $$ && echo leads")),
                IsUp("leads"));
}

TEST_F(CommandProbeTest, real_time_priority_is_not_passed_on) {
    sched_param urgent{};
    urgent.sched_priority = 1;
    if (::sched_setscheduler(0, SCHED_FIFO, &urgent) != 0) GTEST_SKIP() << "may not be real-time";
    // The 41st field of stat is the policy; 0 is the ordinary one.
    const auto result = ask(shell("set -- $(cat /proc/$$/stat); shift 40; echo \"policy $1\""));
    sched_param ordinary{};
    ::sched_setscheduler(0, SCHED_OTHER, &ordinary);
    EXPECT_THAT(result, IsUp("policy 0"));
}

TEST_F(CommandProbeTest, another_user) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    health::CommandProbe what = shell("echo $(id -u) $(id -g) $(id -G) $USER $HOME");
    what.user = "nobody";
    const passwd* nobody = ::getpwnam("nobody");
    ASSERT_NE(nobody, nullptr);
    const std::string group = std::to_string(nobody->pw_gid);
    EXPECT_THAT(ask(what), IsUp(std::to_string(nobody->pw_uid) + " " + group + " " + group +
                                " nobody " + nobody->pw_dir));
    EXPECT_EQ(::geteuid(), 0u) << "the agent stays what it is";
}

}  // namespace
}  // namespace hamr::health_io
