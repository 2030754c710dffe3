// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/admin.hpp"

#include "tests/unit/router/fake_proxysql.hpp"
#include "tests/unit/router/lab_mariadb.hpp"

#include <cstring>
#include <fstream>
#include <optional>

#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

namespace hamr::router_io {
namespace {

using router::AdminCommand;
using router::Plan;
using router::ProviderConfig;
using router::ProviderKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr Duration patience = std::chrono::seconds(10);

/// A child that ends with this program, whatever happens.
class Child {
  public:
    explicit Child(std::vector<std::string> words) {
        words.insert(words.begin(), {"setpriv", "--pdeathsig=KILL"});
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        if (::posix_spawnp(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) != 0) pid_ = -1;
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { end(); }

    void signal(int number) const {
        if (pid_ > 0) ::kill(pid_, number);
    }
    /// Its exit code, waited for.
    int end(int number = SIGTERM) {
        if (pid_ <= 0) return -1;
        signal(number);
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

  private:
    pid_t pid_ = -1;
};

class AdminTest : public testing::Test {
  protected:
    Result<std::string> ask(const Plan& plan, const ProviderConfig& config, const std::string& text,
                            Duration timeout = patience) {
        std::optional<Result<std::string>> answer;
        run_admin(io_.get_executor(), plan, config, text, timeout, [&](Result<std::string> got) {
            EXPECT_FALSE(answer) << "one callback";
            answer = std::move(got);
        });
        EXPECT_FALSE(answer) << "no callback from inside the call";
        EXPECT_TRUE(lab::run_until(io_, [&] { return answer.has_value(); }));
        io_.restart();
        io_.run_for(std::chrono::milliseconds(1));
        return answer.value_or(Result<std::string>(fail("never called back")));
    }

    boost::asio::io_context io_;
    lab::TemporaryFolder folder_;
};

class AdminHaproxyTest : public AdminTest {
  protected:
    AdminHaproxyTest() {
        config_.kind = ProviderKind::haproxy;
        path_ = folder_.path() + "/admin.sock";
        plan_.stats_socket = path_;
    }

    /// Somebody else's socket in its place.
    UniqueFd listen() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(fd.get(), 4), 0);
        return fd;
    }

    Result<std::string> ask(const std::string& text, Duration timeout = patience) {
        return AdminTest::ask(plan_, config_, text, timeout);
    }

    std::string path_;
    Plan plan_;
    ProviderConfig config_;
};

TEST_F(AdminHaproxyTest, a_real_one_is_told_to_drain_is_reloaded_and_finishes) {
    if (lab::Namespace::run("command -v haproxy >/dev/null 2>&1") != 0) {
        GTEST_SKIP() << "needs haproxy";
    }
    const std::string text =
        "global\n stats socket " + path_ +
        " mode 600 level admin\n daemon\ndefaults\n mode tcp\n timeout connect 1s\n"
        " timeout client 1m\n timeout server 1m\n"
        "listen shop\n bind 127.0.0.1:" +
        std::to_string(lab::free_port()) + "\n server db1 127.0.0.1:1\n";
    config_.config = folder_.path() + "/haproxy.cfg";
    config_.program = "haproxy";
    std::ofstream(config_.config) << text;
    plan_ = make_plan(config_, text).value();
    ASSERT_EQ(plan_.stats_socket, path_);
    ASSERT_EQ(plan_.listeners.size(), 1u);
    Child haproxy(plan_.argv);
    ASSERT_TRUE(lab::run_until(io_, [&] { return ask("show info").has_value(); }));
    EXPECT_THAT(ask("show info").value(), HasSubstr("Name: HAProxy"));
    EXPECT_EQ(ask("set server shop/db1 state drain\n").value(), "");
    EXPECT_THAT(ask("show servers state; show info").value(), HasSubstr("db1"));
    EXPECT_THAT(ask("dance").value(), HasSubstr("Unknown command"));
    EXPECT_FALSE(ask("show info\nshow stat")) << "one line";

    // Again and again: a master that has just begun may lose a signal.
    const auto reloaded = [&] {
        haproxy.signal(std::get<router::SendSignal>(plan_.reload).number);
        const auto state = ask("show servers state");
        return state && state->find("db1 127.0.0.1 2 0 ") != std::string::npos;
    };
    EXPECT_TRUE(lab::run_until(io_, reloaded)) << "the new worker knows of no drain";
    Child judge(plan_.judge);
    EXPECT_EQ(judge.end(0), 0);
    EXPECT_EQ(haproxy.end(std::get<router::SendSignal>(plan_.finish).number), 0);
}

TEST_F(AdminHaproxyTest, nobody_there_is_said) {
    const auto answer = ask("show info");
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().message(), HasSubstr("admin.sock: is it running?"));
    EXPECT_EQ(answer.error().code, std::errc::no_such_file_or_directory);
    plan_.stats_socket = "/" + std::string(200, 'x');
    EXPECT_FALSE(ask("show info"));
    plan_.stats_socket.clear();
    EXPECT_THAT(ask("show info").error().what, HasSubstr("/etc/haproxy/haproxy.cfg"));
}

TEST_F(AdminHaproxyTest, a_socket_that_hangs_ends_at_the_timeout) {
    const UniqueFd socket = listen();
    const BootTime begun = BootClock::now();
    const auto answer = ask("show info", std::chrono::milliseconds(50));
    EXPECT_LT(BootClock::now() - begun, std::chrono::seconds(5));
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().what, HasSubstr("no answer within 50 ms"));
}

TEST_F(AdminHaproxyTest, an_endless_answer_is_cut_off) {
    const UniqueFd socket = listen();
    std::thread flood([&] {
        const UniqueFd client(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
        const std::string piece(64 * 1024, 'x');
        for (int i = 0; i < 1000; ++i) {
            if (::send(client.get(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
        }
    });
    const auto answer = ask("show info");
    flood.join();
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().what, HasSubstr("more than 256 KiB"));
}

class AdminProxysqlTest : public AdminTest {
  protected:
    AdminProxysqlTest() { config_.kind = ProviderKind::proxysql; }

    Result<std::string> ask(const Endpoint& where, const std::string& user,
                            const std::string& password, const std::string& text,
                            Duration timeout = patience) {
        plan_.admin = {where, user, password};
        return AdminTest::ask(plan_, config_, text, timeout);
    }

    ProviderConfig config_;
    Plan plan_;
};

TEST_F(AdminProxysqlTest, statements_run_one_after_the_other) {
    lab::FakeProxySql proxysql;
    const auto answer = ask(proxysql.endpoint(), "admin", "admin",
                            "PROXYSQL PAUSE; ;\n UPDATE t SET c='a;b';PROXYSQL RESUME ");
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(*answer, "");
    EXPECT_THAT(proxysql.statements(),
                ElementsAre("PROXYSQL PAUSE", "UPDATE t SET c='a;b'", "PROXYSQL RESUME"))
        << "and nothing that the library would say by itself";
}

TEST_F(AdminProxysqlTest, the_first_error_ends_it_and_is_not_called_a_refused_login) {
    lab::FakeProxySql proxysql;
    const auto answer = ask(proxysql.endpoint(), "admin", "admin",
                            "LOAD MYSQL SERVERS FROM CONFIG; NONSENSE; PROXYSQL PAUSE");
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().what, HasSubstr("'NONSENSE': ProxySQL Admin Error"));
    EXPECT_THAT(answer.error().what, Not(HasSubstr("access denied")));
    EXPECT_THAT(proxysql.statements(), ElementsAre("LOAD MYSQL SERVERS FROM CONFIG", "NONSENSE"));
}

TEST_F(AdminProxysqlTest, a_port_that_hangs_ends_at_the_timeout) {
    const std::uint16_t port = lab::free_port();
    const UniqueFd silent = lab::listen_on(port);
    const auto answer = ask({IpAddress::v4({127, 0, 0, 1}), port}, "admin", "admin",
                            "PROXYSQL PAUSE", std::chrono::milliseconds(50));
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().what,
                testing::AnyOf(HasSubstr("no answer within 50 ms"), HasSubstr("timed out")));
}

TEST_F(AdminProxysqlTest, nobody_there_is_said) {
    const auto answer =
        ask({IpAddress::v4({127, 0, 0, 1}), lab::free_port()}, "admin", "admin", "SELECT 1");
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().what, HasSubstr("connection refused"));
    plan_.admin = {};
    EXPECT_THAT(AdminTest::ask(plan_, config_, "SELECT 1").error().what, HasSubstr("router.admin"));
    config_.kind = ProviderKind::mysqlrouter;
    EXPECT_THAT(AdminTest::ask(plan_, config_, "SELECT 1").error().what, HasSubstr("mysqlrouter"));
}

TEST_F(AdminProxysqlTest, rows_become_lines_with_tabs_and_a_wrong_password_is_named) {
    HAMR_LAB_NEEDS_MARIADB();
    lab::MariaDb* server = lab::MariaDb::shared();
    ASSERT_TRUE(server->installed());
    server->start();
    const std::string text = "SELECT 1, NULL, 'a' UNION SELECT '', 'b', 'c'; SET @a=1; SELECT 2";
    const auto up = [&] { return ask(server->endpoint(), "admin", "admin", text).has_value(); };
    ASSERT_TRUE(lab::run_until(io_, up));
    EXPECT_EQ(ask(server->endpoint(), "admin", "admin", text).value(), "1\tNULL\ta\n\tb\tc\n2");
    const auto refused = ask(server->endpoint(), "admin", "wrong", text);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().what, HasSubstr("router.admin"));
    const auto big = ask(server->endpoint(), "admin", "admin", "SELECT REPEAT('x', 300000)");
    ASSERT_FALSE(big);
    EXPECT_THAT(big.error().what, HasSubstr("more than 256 KiB"));
}

TEST_F(AdminProxysqlTest, a_real_one_pauses_and_resumes) {
    if (lab::Namespace::run("command -v proxysql >/dev/null 2>&1") != 0) {
        GTEST_SKIP() << "needs proxysql, which Debian does not have: its admin protocol was "
                        "tested against a fake one";
    }
    const std::string admin = std::to_string(lab::free_port());
    const std::string text =
        "datadir=\"" + folder_.path() + "\"\nadmin_variables={mysql_ifaces=\"127.0.0.1:" + admin +
        "\"}\nmysql_variables={interfaces=\"127.0.0.1:" + std::to_string(lab::free_port()) +
        "\"}\n";
    config_.config = folder_.path() + "/proxysql.cnf";
    config_.program = "proxysql";
    std::ofstream(config_.config) << text;
    plan_ = make_plan(config_, text).value();
    Child proxysql(plan_.argv);
    const auto run = [&](const router::Request& request) {
        return AdminTest::ask(plan_, config_, std::get<AdminCommand>(request).text);
    };
    ASSERT_TRUE(lab::run_until(io_, [&] { return run(plan_.reload).has_value(); }));
    EXPECT_TRUE(run(plan_.finish));
    EXPECT_TRUE(run(plan_.resume));
}

}  // namespace
}  // namespace hamr::router_io
