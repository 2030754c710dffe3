// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/monitor.hpp"

#include "base/mysql/session.hpp"
#include "tests/unit/router/lab_mariadb.hpp"

#include <memory>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::router_io {
namespace {

using mysql::FailureKind;
using router::Observation;
using testing::HasSubstr;

int open_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

/// On addresses where nothing is: needs no server.
TEST(Monitor, names_hosts_that_cannot_be_reached_and_leaks_nothing) {
    HAMR_LAB_NEEDS_ROOT();
    const lab::Namespace ns;
    ASSERT_EQ(ns.sh("ip link add e0 type veth peer name e1 && ip addr add 192.0.2.1/24 dev e0 && "
                    "ip link set e0 up && ip link set e1 up"),
              0);
    struct Row {
        const char* server;
        FailureKind kind;
    };
    for (const Row& row : {Row{"192.0.2.9:3306", FailureKind::timeout},
                           Row{"203.0.113.1:3306", FailureKind::no_route},
                           Row{"192.0.2.1:3306", FailureKind::refused},
                           Row{"[2001:db8::9]:3306", FailureKind::no_route}}) {
        boost::asio::io_context io;
        int probes = 0;
        int descriptors = 0;
        Monitor monitor(io.get_executor(),
                        {*Endpoint::parse(row.server), "hamr", "right",
                         std::chrono::milliseconds(10), std::chrono::milliseconds(20)},
                        [&](const Endpoint&, const Observation& seen) {
                            ASSERT_TRUE(seen.failure);
                            EXPECT_EQ(seen.failure->kind, row.kind) << seen.failure->text;
                            ++probes;
                            if (probes == 2) descriptors = open_descriptors();
                            if (probes == 6) {
                                EXPECT_EQ(open_descriptors(), descriptors);
                            }
                        });
        ns.in([&] {
            monitor.start();
            EXPECT_TRUE(lab::run_until(io, [&] { return probes == 6; })) << row.server;
        });
    }
}

class MonitorTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_MARIADB();
        server_ = lab::MariaDb::shared();
        ASSERT_TRUE(server_->installed());
        server_->start();
        ASSERT_TRUE(sql("SET GLOBAL read_only = 0")) << server_->log();
    }

    /// Runs one statement as administrator, and waits for a starting server.
    bool sql(const std::string& statement) {
        mysql::Session session(io_.get_executor());
        const BootTime end = BootClock::now() + std::chrono::seconds(20);
        while (!session.connected() && BootClock::now() < end) {
            bool over = false;
            session.connect({server_->endpoint(), "admin", "admin"}, std::chrono::seconds(2),
                            [&](const auto&) { over = true; });
            if (!lab::run_until(io_, [&] { return over; })) return false;
        }
        std::optional<bool> good;
        if (!session.connected()) return false;
        session.query(statement, std::chrono::seconds(10),
                      [&](const auto& rows) { good = rows.has_value(); });
        return lab::run_until(io_, [&] { return good.has_value(); }) && *good;
    }

    MonitorConfig config(const std::string& user = "hamr", const std::string& password = "right") {
        return {server_->endpoint(), user, password, std::chrono::milliseconds(30),
                std::chrono::milliseconds(2000)};
    }

    std::unique_ptr<Monitor> watch(MonitorConfig config) {
        last_.reset();
        auto monitor = std::make_unique<Monitor>(
            io_.get_executor(), std::move(config),
            [this](const Endpoint&, Observation seen) { last_ = std::move(seen); });
        monitor->start();
        return monitor;
    }

    /// Until an observation satisfies `wanted`.
    template <class Wanted>
    bool seen(Wanted wanted) {
        last_.reset();
        return lab::run_until(io_, [&] { return last_ && wanted(*last_); });
    }
    bool seen_failure(FailureKind kind) {
        return seen([&](const Observation& o) { return o.failure && o.failure->kind == kind; });
    }

    lab::MariaDb* server_ = nullptr;
    boost::asio::io_context io_;
    std::optional<Observation> last_;
};

TEST_F(MonitorTest, sees_the_role_and_its_change) {
    const auto monitor = watch(config());
    ASSERT_TRUE(seen([](const Observation& o) { return o.read_only == false; }));
    EXPECT_FALSE(last_->failure);
    EXPECT_FALSE(last_->super_read_only) << "MariaDB has none";
    EXPECT_THAT(last_->version, HasSubstr("MariaDB"));
    EXPECT_GT(last_->latency, Duration{});
    ASSERT_TRUE(sql("SET GLOBAL read_only = 1"));
    EXPECT_TRUE(seen([](const Observation& o) { return o.read_only == true; }));
}

TEST_F(MonitorTest, keeps_one_connection_and_leaks_none) {
    auto monitor = watch(config());
    ASSERT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
    const int before = open_descriptors();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(seen([](const Observation&) { return true; }));
    EXPECT_EQ(open_descriptors(), before);
    monitor.reset();
    EXPECT_EQ(open_descriptors(), before - 2) << "libmariadb's socket and our duplicate";
}

TEST_F(MonitorTest, names_a_wrong_password) {
    const auto monitor = watch(config("hamr", "wrong"));
    ASSERT_TRUE(seen_failure(FailureKind::access_denied));
    EXPECT_EQ(last_->failure->code, 1045u);
    EXPECT_THAT(last_->failure->text, HasSubstr("hamr"));
    EXPECT_FALSE(last_->read_only);
}

TEST_F(MonitorTest, without_a_user_a_refused_login_proves_life) {
    const auto monitor = watch(config("", ""));
    ASSERT_TRUE(seen([](const Observation&) { return true; }));
    EXPECT_FALSE(last_->failure);
    EXPECT_FALSE(last_->read_only);
}

TEST_F(MonitorTest, sees_a_kill_at_once_and_the_return) {
    auto slow = config();
    slow.interval = std::chrono::seconds(600);
    const auto monitor = watch(slow);
    ASSERT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
    server_->end(SIGKILL);
    EXPECT_TRUE(seen_failure(FailureKind::refused)) << "no interval could have shown that";
    EXPECT_EQ(last_->failure->text, "connection refused");
    server_->start();
    const auto quick = watch(config());
    EXPECT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
}

TEST_F(MonitorTest, a_connection_that_was_killed_is_opened_anew) {
    const auto monitor = watch(config());
    ASSERT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
    int failures = 0;
    ASSERT_TRUE(sql("KILL USER hamr"));
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(seen([](const Observation&) { return true; }));
        failures += last_->failure ? 1 : 0;
    }
    EXPECT_EQ(failures, 0);
}

TEST_F(MonitorTest, a_stopped_server_times_out_and_comes_back) {
    auto hasty = config();
    hasty.timeout = std::chrono::milliseconds(100);
    const auto monitor = watch(hasty);
    ASSERT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
    const int before = open_descriptors();
    server_->signal(SIGSTOP);
    EXPECT_TRUE(seen_failure(FailureKind::timeout)) << "a query is under way";
    EXPECT_TRUE(seen_failure(FailureKind::timeout)) << "the kernel connects, no greeting comes";
    EXPECT_THAT(last_->failure->text, HasSubstr("timed out after"));
    EXPECT_LE(open_descriptors(), before);
    server_->signal(SIGCONT);
    EXPECT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
}

TEST_F(MonitorTest, a_server_that_is_full_is_named) {
    ASSERT_TRUE(sql("SET GLOBAL max_connections = 10"));
    std::vector<std::unique_ptr<mysql::Session>> crowd;
    bool full = false;
    for (int i = 0; i < 20 && !full; ++i) {
        bool over = false;
        crowd.push_back(std::make_unique<mysql::Session>(io_.get_executor()));
        crowd.back()->connect({server_->endpoint(), "hamr", "right"}, std::chrono::seconds(2),
                              [&](const auto& done) {
                                  over = true;
                                  full = !done;
                              });
        ASSERT_TRUE(lab::run_until(io_, [&] { return over; }));
    }
    const auto monitor = watch(config());
    EXPECT_TRUE(seen_failure(FailureKind::too_many_connections));
    crowd.clear();
    EXPECT_TRUE(seen([](const Observation& o) { return o.read_only.has_value(); }));
    EXPECT_TRUE(sql("SET GLOBAL max_connections = 100"));
}

TEST_F(MonitorTest, a_server_that_never_greets_times_out_again_and_again) {
    const std::uint16_t port = lab::free_port();
    const UniqueFd mute = lab::listen_on(port);
    ASSERT_TRUE(mute);
    auto hasty = config();
    hasty.server.port = port;
    hasty.timeout = std::chrono::milliseconds(20);
    auto monitor = watch(hasty);
    const int before = open_descriptors();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(seen_failure(FailureKind::timeout));
    EXPECT_LE(open_descriptors(), before + 2);
}

TEST_F(MonitorTest, what_is_not_mysql_is_named) {
    const std::uint16_t port = lab::free_port();
    const UniqueFd server = lab::listen_on(port);
    ASSERT_TRUE(server);
    auto other = config();
    other.server.port = port;
    other.timeout = std::chrono::milliseconds(500);
    const auto monitor = watch(other);
    ASSERT_TRUE(lab::run_until(io_, [&] {
        const UniqueFd client(
            ::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        const std::string rubbish = "HTTP/1.1 400 Bad Request\r\n\r\n";
        if (client) (void)::send(client.get(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL);
        return last_.has_value();
    }));
    ASSERT_TRUE(last_->failure);
    EXPECT_FALSE(mysql::answered(last_->failure->kind)) << last_->failure->text;
    EXPECT_FALSE(mysql::certain(last_->failure->kind)) << last_->failure->text;
}

TEST_F(MonitorTest, stop_in_the_middle_of_anything_calls_nobody) {
    const int before = open_descriptors();
    for (int handlers = 0; handlers < 12; ++handlers) {
        auto monitor = watch(config());
        for (int i = 0; i < handlers; ++i) {
            io_.restart();
            io_.run_one_for(std::chrono::seconds(1));
        }
        monitor.reset();
        last_.reset();
        io_.restart();
        io_.run_for(std::chrono::milliseconds(1));
        EXPECT_FALSE(last_);
    }
    EXPECT_LE(open_descriptors(), before + 1);
}

}  // namespace
}  // namespace hamr::router_io
