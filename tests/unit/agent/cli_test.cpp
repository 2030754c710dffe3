// SPDX-License-Identifier: GPL-2.0-or-later
// The program as a user runs it: what it prints where, and its exit code.
#include "agent/control/json.hpp"
#include "base/unique_fd.hpp"
#include "tests/unit/agent/fake_agent.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hamr::cli {
namespace {

using test::FakeAgent;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

struct Ran {
    int code = -1;
    std::string out;
    std::string err;
};

/// Runs the built program, as uid `uid` if that is not 0, and reads both its outputs to the end.
/// Sends SIGINT once standard output has `interrupt_at` in it, if that is not empty.
Ran run(const std::vector<std::string>& words, uid_t uid = 0,
        const std::string& interrupt_at = {}) {
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    if (::pipe2(out.data(), O_CLOEXEC) != 0 || ::pipe2(err.data(), O_CLOEXEC) != 0) return {};
    std::vector<std::string> args{HAMR_PROGRAM};
    args.insert(args.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    const int program = ::open(HAMR_PROGRAM, O_PATH | O_CLOEXEC);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(out[1], STDOUT_FILENO);
        ::dup2(err[1], STDERR_FILENO);
        if (uid != 0 && (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 ||
                         ::setresuid(uid, uid, uid) != 0)) {
            ::_exit(125);
        }
        ::fexecve(program, argv.data(), environ);
        ::_exit(126);
    }
    ::close(program);
    ::close(out[1]);
    ::close(err[1]);
    std::array<UniqueFd, 2> ends{UniqueFd(out[0]), UniqueFd(err[0])};
    Ran ran;
    std::array<std::string*, 2> texts{&ran.out, &ran.err};
    while (ends[0] || ends[1]) {
        std::array<pollfd, 2> polls{{{ends[0].get(), POLLIN, 0}, {ends[1].get(), POLLIN, 0}}};
        ::poll(polls.data(), polls.size(), -1);
        for (std::size_t i = 0; i < 2; ++i) {
            if (polls[i].revents == 0) continue;
            std::array<char, 4096> chunk{};
            const ssize_t count = ::read(ends[i].get(), chunk.data(), chunk.size());
            if (count <= 0) {
                ends[i].reset();
            } else {
                const bool before = ran.out.find(interrupt_at) == std::string::npos;
                texts[i]->append(chunk.data(), static_cast<std::size_t>(count));
                if (before && ran.out.find(interrupt_at) != std::string::npos) {
                    ::kill(child, SIGINT);
                }
            }
        }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return ran;
}

class WithAgent : public testing::Test {
  protected:
    void SetUp() override {
        const auto started = agent.start();
        ASSERT_TRUE(started) << started.error().message();
    }

    test::TempDir dir;
    std::string socket = dir.path("hamrd.sock");
    FakeAgent agent{[this] {
        control::ServerOptions options;
        options.path = socket;
        return options;
    }()};
};

TEST_F(WithAgent, StatusForPeopleAndPrograms) {
    const Ran people = run({"--socket", socket, "status"});
    EXPECT_EQ(people.code, 0);
    EXPECT_THAT(people.out,
                StartsWith("cluster shop, seen from router1, quorum majority: not well\n"));
    EXPECT_THAT(people.out, testing::Not(HasSubstr("\033"))) << "a pipe is no terminal";
    const Ran program = run({"status", "--json", "--socket=" + socket});
    EXPECT_EQ(program.code, 0);
    EXPECT_EQ(program.out, control::to_json(test::sample_status()) + "\n");
    EXPECT_THAT(program.err, IsEmpty());
}

TEST_F(WithAgent, HistoryForPeopleAndPrograms) {
    const Ran people = run({"--socket", socket, "history"});
    EXPECT_EQ(people.code, 0);
    EXPECT_THAT(people.out, HasSubstr("candidate -> leader"));
    EXPECT_EQ(run({"--socket", socket, "history", "--json"}).out,
              control::to_json(test::sample_history()) + "\n");
}

TEST_F(WithAgent, FailoverThatIsDone) {
    const Ran moved = run({"--socket", socket, "failover", "--to", "router2", "--force"});
    EXPECT_EQ(moved.code, 0);
    EXPECT_EQ(moved.out, "group default: router2 leads (router1 before), announced after 1.8 ms\n");
    const Ran already = run({"--socket", socket, "failover", "--to=router1", "--group", "default"});
    EXPECT_EQ(already.code, 0);
    EXPECT_EQ(already.out, "router1 leads already\n");
}

TEST_F(WithAgent, FailoverThatIsRefused) {
    const Ran worse = run({"--socket", socket, "failover", "--to", "router2"});
    EXPECT_EQ(worse.code, 1);
    EXPECT_THAT(worse.out, IsEmpty());
    EXPECT_EQ(worse.err,
              "hamr: router2 is worse than router1: demotion 10, not 0\n"
              "      heal it, or use --force\n");
    const Ran unknown = run({"--socket", socket, "failover", "--to", "nosuch"});
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.err,
                StartsWith("hamr: unknown node \"nosuch\"; nodes of this cluster are: router1, "
                           "router2, witness1\n"));
    EXPECT_EQ(run({"--socket", socket, "failover", "--group", "nosuch"}).code, 1);
}

using Drain = control::DrainStatus::State;

TEST_F(WithAgent, DrainIsFollowedToItsEnd) {
    agent.handler.steps = {{Drain::finishing, 12, 48'000.0, ""},
                           {Drain::finishing, 12, 47'800.0, ""},
                           {Drain::drained, 0, {}, "1 connection was cut"}};
    const Ran ran = run({"--socket", socket, "drain", "--timeout", "1.5s"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out,
              "router1: group default: leadership moved to router2\n"
              "router1: 12 connections left, 48 s until the rest is cut\n"
              "router1: drained; 1 connection was cut\n");
    EXPECT_THAT(ran.err, IsEmpty());
    EXPECT_EQ(agent.handler.drains, (std::vector<control::DrainRequest>{{true, 1500.0}}));
}

TEST_F(WithAgent, DrainWithoutWaiting) {
    agent.handler.steps = {{Drain::finishing, 12, 48'000.0, ""}};
    const Ran ran = run({"--socket", socket, "drain", "--no-wait"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "router1 drains\n");
    EXPECT_EQ(agent.handler.drains, (std::vector<control::DrainRequest>{{true, std::nullopt}}));
}

TEST_F(WithAgent, AnInterruptLeavesTheDrainGoing) {
    agent.handler.steps = {{Drain::finishing, 12, 48'000.0, ""}};
    const Ran ran = run({"--socket", socket, "drain"}, 0, "12 connections left");
    EXPECT_EQ(ran.code, -SIGINT) << "as a shell expects";
    EXPECT_EQ(ran.err,
              "\nhamr: the drain goes on; `hamr status` shows how, `hamr undrain` ends it\n");
    EXPECT_EQ(agent.handler.drains.size(), 1U);
}

TEST_F(WithAgent, DrainThatIsRefusedOrMistyped) {
    agent.handler.refusal = {control::Outcome::refused, "no other node can lead", "heal router2"};
    for (const char* command : {"drain", "undrain", "reload"}) {
        const Ran refused = run({"--socket", socket, command});
        EXPECT_EQ(refused.code, 1) << command;
        EXPECT_EQ(refused.err, "hamr: no other node can lead\n      heal router2\n");
        EXPECT_THAT(refused.out, IsEmpty());
    }
    agent.handler.drains.clear();
    for (const char* timeout : {"30", "x", "-1s", "1441m", ""}) {
        const Ran wrong = run({"--socket", socket, "drain", "--timeout", timeout});
        EXPECT_EQ(wrong.code, 2) << timeout;
        EXPECT_THAT(wrong.err, HasSubstr("write, for example, --timeout 30s"));
    }
    EXPECT_THAT(agent.handler.drains, IsEmpty());
}

TEST_F(WithAgent, ADrainThatSomebodyEndsIsAFailure) {
    agent.handler.steps = {{Drain::finishing, 2, 900.0, ""}, {}};
    const Ran ran = run({"--socket", socket, "drain"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, HasSubstr("somebody has run `hamr undrain`"));
}

TEST_F(WithAgent, UndrainAndReload) {
    EXPECT_EQ(run({"--socket", socket, "undrain"}).out, "router1 takes part again\n");
    EXPECT_EQ(run({"--socket", socket, "reload"}).out, "haproxy has reloaded\n");
}

TEST_F(WithAgent, AReloadThatRestartsTheAgentReturnsWhenTheNextProgramRuns) {
    agent.handler.reload_restarts = true;
    EXPECT_EQ(run({"--socket", socket, "reload"}).out,
              "router3 joins; restarting in place\nrestarted: version 0.1.0\n");
}

TEST_F(WithAgent, AReloadOfABadFileIsAConfigurationErrorAndForceIsPassedOn) {
    agent.handler.refusal = {control::Outcome::bad_file, "hamr.yaml:3:1: unknown key", "mend it"};
    const Ran refused = run({"--socket", socket, "reload"});
    EXPECT_EQ(refused.code, 78);
    EXPECT_THAT(refused.err, HasSubstr("hamr.yaml:3:1: unknown key"));
    EXPECT_EQ(run({"--socket", socket, "reload", "--force"}).code, 0);
}

TEST_F(WithAgent, ABackendIsDrainedAndTakenBack) {
    agent.handler.notes = {"router3 is not connected: it will hear of it when it is back"};
    const std::string address = "192.0.2.21:3306";
    const Ran drained = run({"--socket", socket, "backend", "drain", address});
    EXPECT_EQ(drained.code, 0);
    EXPECT_EQ(drained.out, address +
                               " is draining\nconfirmed by router2\n"
                               "- router3 is not connected: it will hear of it when it is "
                               "back\n");
    const Ran undrained = run({"--socket", socket, "backend", "undrain", address, "--json"});
    EXPECT_EQ(undrained.code, 0);
    EXPECT_THAT(undrained.out,
                StartsWith(R"({"result":"done","message":"192.0.2.21:3306 is used)"));
    EXPECT_EQ(agent.handler.backends,
              (std::vector<control::BackendRequest>{{true, address}, {false, address}}));
}

TEST_F(WithAgent, ADrainedBackendIsWaitedFor) {
    agent.handler.flows = {2, 1, 0, 0};
    const Ran waited = run({"--socket", socket, "backend", "drain", "192.0.2.21:3306", "--wait"});
    EXPECT_EQ(waited.code, 0) << waited.err;
    EXPECT_THAT(waited.out, HasSubstr("2 connections left\n"));
    EXPECT_THAT(waited.out, HasSubstr("no connection is left: the server can be stopped\n"));
    agent.handler.flows = {3};
    const Ran left =
        run({"--socket", socket, "backend", "drain", "192.0.2.21:3306", "--wait=100ms"});
    EXPECT_EQ(left.code, 1);
    EXPECT_THAT(left.err, HasSubstr("3 connections left after 100 ms\n"));
    const Ran other = run({"--socket", socket, "backend", "drain", "192.0.2.29:3306", "--wait=1"});
    EXPECT_EQ(other.code, 1);
    EXPECT_THAT(other.err, HasSubstr("192.0.2.29:3306 is not drained any more\n"));
}

TEST_F(WithAgent, ABackendThatIsNotDrainedSaysWhy) {
    agent.handler.refusal = {control::Outcome::unknown, "unknown backend \"x\"", "name one"};
    const Ran refused = run({"--socket", socket, "backend", "drain", "x", "--wait"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("hamr: unknown backend \"x\"\n"));
}

TEST_F(WithAgent, VersionOfBoth) {
    EXPECT_EQ(run({"version", "--socket", socket}).out, "hamr 0.1.0\nhamrd 0.1.0 (running)\n");
}

TEST_F(WithAgent, WithoutPermission) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    const std::string directory = socket.substr(0, socket.rfind('/'));
    ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
    const Ran ran = run({"--socket", socket, "status"}, 65534);
    EXPECT_EQ(ran.code, 77);
    EXPECT_THAT(ran.err, StartsWith("hamr: no permission to talk to the agent at " + socket));
    EXPECT_THAT(ran.err, HasSubstr("run this as root"));
}

TEST(Cli, WithoutAgent) {
    const test::TempDir dir;
    for (const char* command : {"status", "history", "failover", "drain", "undrain", "reload"}) {
        const Ran ran = run({"--socket", dir.path("none"), command});
        EXPECT_EQ(ran.code, 69) << command;
        EXPECT_THAT(ran.err, HasSubstr(dir.path("none")));
        EXPECT_THAT(ran.err, HasSubstr("is hamrd running on this host?"));
        EXPECT_THAT(ran.out, IsEmpty());
    }
    EXPECT_EQ(run({"--socket", dir.path("none"), "version"}).out, "hamr 0.1.0\n");
}

TEST(Cli, CheckAGoodFile) {
    const test::TempDir dir;
    const std::string file = dir.write("hamr.yaml",
                                       "cluster: shop\nnodes: {r1: 192.0.2.11, r2: 192.0.2.12}\n"
                                       "key_file: /nonexistent/key\nvip: 192.0.2.100/24\n"
                                       "router: {kind: none}\n");
    const Ran ran = run({"check", file});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out,
              file + ": good: cluster shop, 2 routers, 1 group, quorum none, router none\n");
    EXPECT_THAT(ran.err, StartsWith("warning: " + file + ":1:1: quorum auto means none"));
}

TEST(Cli, CheckABadFile) {
    const test::TempDir dir;
    const std::string file = dir.write("hamr.yaml",
                                       "cluster: shop\nnodes: {r1: 192.0.2.11, r2: 192.0.2.11}\n"
                                       "key_file: /k\nvip: 192.0.2.100/24\nrouter: {kind: none}\n"
                                       "heartbeat: {interval: 1ms}\n");
    const Ran ran = run({"check", file});
    EXPECT_EQ(ran.code, 78);
    EXPECT_THAT(ran.out, IsEmpty());
    EXPECT_EQ(ran.err, file +
                           ":2:29: 192.0.2.11 of node r2 is already the address of node r1 (line "
                           "2); give each its own\n" +
                           file + ":6:23: heartbeat.interval must be from 2ms to 1s, not 1ms\n");
    EXPECT_EQ(run({"check", dir.path("none")}).code, 78);
}

TEST(Cli, Keygen) {
    const Ran first = run({"keygen"});
    EXPECT_EQ(first.code, 0);
    EXPECT_THAT(first.out, MatchesRegex("k[0-9a-f]+ [A-Za-z0-9+/]+=\n"));
    EXPECT_NE(first.out, run({"keygen"}).out);
}

TEST(Cli, Help) {
    const Ran general = run({"--help"});
    EXPECT_EQ(general.code, 0);
    for (const char* command :
         {"status", "failover", "drain", "undrain", "backend drain", "backend undrain", "reload",
          "history", "check", "keygen", "version"}) {
        EXPECT_THAT(general.out, HasSubstr(std::string("\n  ") + command));
        std::vector<std::string> name;
        std::istringstream stream(command);
        for (std::string word; stream >> word;) name.push_back(word);
        std::vector<std::string> after = name;
        after.emplace_back("--help");
        std::vector<std::string> before{"help"};
        before.insert(before.end(), name.begin(), name.end());
        for (const auto& words : {after, before}) {
            const Ran one = run(words);
            EXPECT_EQ(one.code, 0);
            EXPECT_THAT(one.out, StartsWith(std::string("usage: hamr ") + command));
        }
    }
}

struct UsageRow {
    std::vector<std::string> words;
    std::string message;
};

TEST(Cli, UsageErrors) {
    const UsageRow rows[] = {
        {{}, "hamr: a command is missing\n"},
        {{"stauts"}, "hamr: unknown command stauts; did you mean \"status\"?\n"},
        {{"status", "--jsn"}, "hamr: unknown option --jsn; did you mean \"--json\"?\n"},
        {{"failover", "--to"}, "hamr: --to needs a NODE\n"},
        {{"status", "--json=yes"}, "hamr: --json takes no value\n"},
        {{"status", "extra"}, "hamr: too many arguments: extra\n"},
        {{"check"}, "hamr: FILE is missing\n"},
        {{"backend"}, "hamr: the command is not complete: backend drain or backend undrain\n"},
        {{"backend", "drian"},
         "hamr: unknown command backend drian; did you mean \"backend drain\"?\n"},
        {{"backend", "drain"}, "hamr: ADDRESS is missing\n"},
        {{"backend", "drain", "a", "b"}, "hamr: too many arguments: b\n"},
        {{"backend", "drain", "a", "--wait=soon"}, "hamr: --wait=soon is not a time of at most"},
        {{"backend", "drain", "a", "--wait=2000m"}, "hamr: --wait=2000m is not a time of at most"},
        {{"check", "--", "-a", "-b"}, "hamr: too many arguments: -b\n"},
    };
    for (const UsageRow& row : rows) {
        const Ran ran = run(row.words);
        EXPECT_EQ(ran.code, 2) << row.message;
        EXPECT_THAT(ran.err, StartsWith(row.message));
        EXPECT_THAT(ran.out, IsEmpty());
    }
}

}  // namespace
}  // namespace hamr::cli
