// SPDX-License-Identifier: GPL-2.0-or-later
// The supervisor with units of a real systemd (a user manager of the test's own), and with a bus
// that does not answer.

#include "tests/unit/router/supervisor_fixture.hpp"
#include "tests/unit/router/user_systemd.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace hamr::router_io::testing {

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class UnitTest : public SupervisorTest {
  protected:
    UnitTest() : systemd_(folder_) { config_.kind = router::ProviderKind::systemd; }

    /// A service called router.service that runs `exec`, with more lines in its [Service].
    void service(const std::string& exec, const std::string& more = "") const {
        systemd_.unit("router.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=" +
                                            exec + "\n" + more + "\n");
    }
    void begin(const std::string& unit = "router.service") {
        if (!systemd_.start()) GTEST_SKIP() << "skipped: no systemd can be run here (root?)";
        attach(unit);
    }
    void attach(const std::string& unit = "router.service") {
        plan_ = {};
        plan_.name = plan_.unit = unit;
        options_.buses = {{systemd_.address(), true}};
        make();
    }
    void started() {
        supervisor_->want(true);
        ASSERT_TRUE(until([&] { return status().pid > 0; })) << status().reason;
    }

    UserSystemd systemd_;
};

TEST_F(UnitTest, starts_and_stops) {
    service("/bin/sleep 1000");
    begin();
    if (IsSkipped()) return;
    started();
    EXPECT_EQ(status().state, RunState::starting);
    supervisor_->serves();
    EXPECT_EQ(status().state, RunState::running);
    const int pid = status().pid;
    supervisor_->want(false);
    EXPECT_TRUE(until_state(RunState::off));
    EXPECT_FALSE(lives(pid));
    EXPECT_TRUE(crashes_.empty());
    started();
    stop();
    EXPECT_EQ(status().state, RunState::off);
}

TEST_F(UnitTest, a_kill_is_heard_at_once_and_answered_by_a_start) {
    service("/bin/sleep 1000");
    begin();
    if (IsSkipped()) return;
    started();
    const int pid = status().pid;
    const BootTime killed = BootClock::now();
    ::kill(pid, SIGKILL);
    ASSERT_TRUE(until([&] { return !crashes_.empty(); }));
    std::printf("kill to callback: %.3f ms\n", to_ms(crashed_at_ - killed));
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
    EXPECT_EQ(crashes_.size(), 1U);
    EXPECT_THAT(status().last_exit, StartsWith("was killed by signal 9 (SIGKILL)"));
    EXPECT_EQ(status().restarts, 1U);
}

TEST_F(UnitTest, a_bus_daemon_does_where_the_private_socket_is_shut) {
    service("/bin/sleep 1000");
    if (!systemd_.start()) GTEST_SKIP() << "skipped: no systemd can be run here (root?)";
    if (systemd_.control("start dbus.service") != 0) GTEST_SKIP() << "skipped: no D-Bus daemon";
    plan_.name = plan_.unit = "router.service";
    options_.buses = {{"unix:path=" + path("nothing"), true}, {"unix:path=" + path("bus"), false}};
    make();
    started();
    const int pid = status().pid;
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
    EXPECT_EQ(crashes_.size(), 1U);
    ASSERT_EQ(systemd_.control("stop router.service"), 0);
    EXPECT_TRUE(until([&] { return crashes_.size() == 2; })) << "its signals are heard";
    stop();
    EXPECT_EQ(status().state, RunState::off);
}

TEST_F(UnitTest, what_systemd_restarts_is_left_to_systemd) {
    service("/bin/sleep 1000", "Restart=always\nRestartSec=400ms");
    begin();
    if (IsSkipped()) return;
    started();
    const int pid = status().pid;
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(until_state(RunState::waiting));
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
    EXPECT_EQ(status().restarts, 1U);
    EXPECT_EQ(crashes_.size(), 1U);
    for (const SupervisorStatus& it : seen_) EXPECT_FALSE(it.next_start) << it.reason;
    stop();
    EXPECT_EQ(status().state, RunState::off);
}

TEST_F(UnitTest, one_that_ends_at_once_is_given_up_with_a_reason) {
    service("/bin/sh -c 'exit 3'");
    begin();
    if (IsSkipped()) return;
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("exited with code 3"));
}

TEST_F(UnitTest, one_that_is_missing_or_masked_is_named) {
    systemd_.mask("masked.service");
    begin("missing.service");
    if (IsSkipped()) return;
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_EQ(status().reason, "there is no unit missing.service on this host");
    attach("masked.service");
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("systemctl unmask masked.service"));
}

TEST_F(UnitTest, one_that_runs_already_is_adopted) {
    service("/bin/sleep 1000");
    if (!systemd_.start()) GTEST_SKIP() << "skipped: no systemd can be run here (root?)";
    ASSERT_EQ(systemd_.control("start router.service"), 0);
    attach();
    supervisor_->want(true);
    EXPECT_TRUE(until([&] { return status().pid > 0; }));
    EXPECT_TRUE(status().adopted);
    EXPECT_EQ(status().restarts, 0U);
}

TEST_F(UnitTest, a_stop_by_somebody_else_is_seen_and_answered) {
    service("/bin/sleep 1000");
    begin();
    if (IsSkipped()) return;
    started();
    const int pid = status().pid;
    ASSERT_EQ(systemd_.control("stop router.service --no-block"), 0);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
    EXPECT_EQ(crashes_.size(), 1U);
    EXPECT_THAT(status().last_exit, HasSubstr("stopped by somebody else"));
}

TEST_F(UnitTest, a_systemd_that_re_executes_itself_is_no_crash) {
    service("/bin/sleep 1000");
    begin();
    if (IsSkipped()) return;
    started();
    const int pid = status().pid;
    supervisor_->serves();
    (void)systemd_.control("daemon-reexec");
    EXPECT_FALSE(until([&] { return !crashes_.empty(); }, 1500ms));
    EXPECT_EQ(status().pid, pid);
    EXPECT_EQ(status().state, RunState::running);
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
}

TEST_F(UnitTest, a_reload_is_the_units_own) {
    service("/bin/sleep 1000", "ExecReload=/bin/touch " + path("reloaded"));
    begin();
    if (IsSkipped()) return;
    started();
    const int pid = status().pid;
    std::optional<Result<>> result;
    supervisor_->reload([&](Result<> it) { result = std::move(it); });
    EXPECT_TRUE(until([&] { return result && std::filesystem::exists(path("reloaded")); }));
    EXPECT_TRUE(*result);
    EXPECT_EQ(status().pid, pid);
}

TEST_F(UnitTest, one_that_does_not_end_is_killed) {
    config_.stop_timeout = 300ms;
    service("/bin/sh -c \"trap '' TERM; while :; do sleep 0.1; done\"", "Restart=always");
    begin();
    if (IsSkipped()) return;
    started();
    const int pid = status().pid;
    until([] { return false; }, 300ms);
    stop();
    EXPECT_FALSE(lives(pid));
    EXPECT_TRUE(until_state(RunState::off));
}

TEST_F(UnitTest, a_bus_that_hangs_is_named_and_blocks_nothing) {
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path("bus").copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    plan_.name = plan_.unit = "router.service";
    config_.stop_timeout = 0ms;
    options_.buses = {{"unix:path=" + path("bus"), true}};
    const auto begun = std::chrono::steady_clock::now();
    make();
    supervisor_->want(true);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, StartsWith("systemd "));
    stop();

    options_.buses = {{"unix:path=" + path("nothing"), true}};
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("systemd cannot be reached"));
}

}  // namespace

}  // namespace hamr::router_io::testing
