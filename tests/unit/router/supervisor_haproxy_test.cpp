// SPDX-License-Identifier: GPL-2.0-or-later
// The supervisor with a real HAProxy, or skipped where there is none.

#include "base/unique_fd.hpp"
#include "tests/unit/router/supervisor_fixture.hpp"

#include <array>

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::router_io::testing {

namespace {

using ::testing::HasSubstr;

/// A listening port that nobody else has, as long as this lives.
class TakenPort {
  public:
    TakenPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int on = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(::bind(fd_.get(), raw, size), 0);
        EXPECT_EQ(::listen(fd_.get(), 16), 0);
        EXPECT_EQ(::getsockname(fd_.get(), raw, &size), 0);
        port_ = ntohs(address.sin_port);
    }
    [[nodiscard]] int port() const { return port_; }
    void release() { fd_.reset(); }

  private:
    UniqueFd fd_;
    int port_ = 0;
};

bool connects(int port) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

class HaproxyTest : public SupervisorTest {
  protected:
    void SetUp() override {
        if (!std::filesystem::exists("/usr/sbin/haproxy")) GTEST_SKIP() << "skipped: no haproxy";
        config_ = {};
        config_.kind = router::ProviderKind::haproxy;
        config_.config = path("haproxy.cfg");
        config_.stop_timeout = 2s;
    }

    void configure(const std::string& global = "", const std::string& more = "") {
        const std::string text =
            "global\n" + global + "\ndefaults\n  mode tcp\n" +
            "  timeout connect 1s\n  timeout client 1m\n  timeout server 1m\n" +
            "listen db\n  bind 127.0.0.1:" + std::to_string(port_.port()) +
            "\n  server a 127.0.0.1:1\n" + more;
        std::ofstream(config_.config) << text;
        auto plan = router::make_plan(config_, text);
        ASSERT_TRUE(plan) << plan.error().message();
        plan_ = std::move(*plan);
    }
    void serve() {
        port_.release();
        run();
        ASSERT_TRUE(until([&] { return connects(port_.port()); })) << status().reason;
        supervisor_->serves();
    }
    [[nodiscard]] std::vector<ProcessStat> processes() const {
        const auto stat = read_stat(status().pid);
        return stat ? members({stat->pid, stat->start, "", true}) : std::vector<ProcessStat>{};
    }

    TakenPort port_;
};

TEST_F(HaproxyTest, a_port_that_somebody_else_has_is_named) {
    configure();
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("exited with code 1"));
    EXPECT_THAT(status().reason, HasSubstr("127.0.0.1:" + std::to_string(port_.port())));
    EXPECT_EQ(processes().size(), 0U);
}

TEST_F(HaproxyTest, a_configuration_that_is_wrong_is_named) {
    configure("", "  no-such-word\n");
    make();
    supervisor_->want(true);
    EXPECT_TRUE(until_state(RunState::failed));
    EXPECT_THAT(status().reason, HasSubstr("no-such-word"));
}

TEST_F(HaproxyTest, it_stays_in_the_foreground_whatever_its_configuration_says) {
    configure("  daemon\n  pidfile " + path("haproxy.pid"));
    serve();
    EXPECT_GE(processes().size(), 2U) << "master and worker";
    stop();
    EXPECT_FALSE(connects(port_.port()));
    EXPECT_TRUE(crashes_.empty());
}

TEST_F(HaproxyTest, it_is_started_again_when_either_of_its_processes_is_killed) {
    const std::string global =
        ::geteuid() == 0 ? "  user nobody\n  group nogroup\n  chroot " + folder_ : "";
    configure(global);
    serve();
    for (const bool master : {true, false}) {
        const int pid = status().pid;
        const std::size_t before = crashes_.size();
        int victim = pid;
        for (const ProcessStat& it : processes()) {
            if (!master && it.pid != pid) victim = it.pid;
        }
        const BootTime killed = BootClock::now();
        ::kill(victim, SIGKILL);
        EXPECT_TRUE(until([&] { return crashes_.size() > before; }));
        std::printf("%s killed, heard after %.3f ms: %s\n", master ? "master" : "worker",
                    to_ms(crashed_at_ - killed), crashes_.back().c_str());
        EXPECT_TRUE(until([&] { return status().pid > 0 && status().pid != pid; }));
        EXPECT_TRUE(until([&] { return connects(port_.port()); })) << status().reason;
        EXPECT_EQ(processes().size(), 2U);
    }
}

TEST_F(HaproxyTest, it_reloads_as_the_same_process_and_is_still_known) {
    configure();
    serve();
    const int pid = status().pid;
    std::optional<Result<>> result;
    supervisor_->reload([&](Result<> it) { result = std::move(it); });
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    EXPECT_TRUE(*result);
    EXPECT_TRUE(until([&] { return connects(port_.port()); }));
    EXPECT_EQ(status().pid, pid);
    std::ofstream(config_.config, std::ios::app) << "  no-such-word\n";
    result.reset();
    supervisor_->reload([&](Result<> it) { result = std::move(it); });
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    ASSERT_FALSE(*result);
    EXPECT_THAT(result->error().message(), HasSubstr("no-such-word"));
    supervisor_.reset();
    make();
    EXPECT_EQ(status().pid, pid) << "adopted";
    stop();
    EXPECT_FALSE(connects(port_.port()));
}

TEST_F(HaproxyTest, a_drain_lets_a_connection_finish) {
    TakenPort server;
    configure("", "  server b 127.0.0.1:" + std::to_string(server.port()) +
                      "\n  balance first\n  retries 0\n  option redispatch\n");
    serve();
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port_.port()));
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_TRUE(until([&] { return !processes().empty(); }));
    until([] { return false; }, 200ms);
    supervisor_->finish(BootClock::now() + 60s);
    EXPECT_TRUE(until([&] { return !connects(port_.port()); })) << "takes nothing new";
    EXPECT_EQ(status().state, RunState::finishing);
    client.reset();
    EXPECT_TRUE(until_state(RunState::off));
    EXPECT_EQ(status().reason, "drained");
    EXPECT_TRUE(crashes_.empty());
}

}  // namespace

}  // namespace hamr::router_io::testing
