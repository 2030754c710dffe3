// SPDX-License-Identifier: GPL-2.0-or-later
// The control API's server and client over a real Unix socket, with a fake behind.
#include "agent/control/server.hpp"

#include "agent/control/client.hpp"
#include "agent/control/json.hpp"
#include "base/unique_fd.hpp"
#include "tests/unit/agent/fake_agent.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace hamr::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeAgent;
using testing::HasSubstr;
using testing::StartsWith;

class ControlServer : public testing::Test {
  protected:
    ServerOptions options() {
        ServerOptions result;
        result.path = socket;
        return result;
    }

    Response ask(const std::string& method, const std::string& target,
                 const std::string& body = {}) {
        auto response = request({socket, seconds(20)}, method, target, body);
        EXPECT_TRUE(response) << response.error().what;
        return response.value_or(Response{});
    }

    /// A connected plain socket that gives up reading after 20 s.
    UniqueFd connect_raw() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
        const timeval patience{20, 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        return fd;
    }

    /// Sends bytes and returns everything until the server closes.
    std::string exchange_raw(const std::string& bytes) const {
        const UniqueFd fd = connect_raw();
        EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(bytes.size()));
        return read_all(fd);
    }

    static std::string read_all(const UniqueFd& fd) {
        std::string text;
        char chunk[4096];
        ssize_t count = 0;
        while ((count = ::recv(fd.get(), chunk, sizeof(chunk), 0)) > 0) {
            text.append(chunk, static_cast<std::size_t>(count));
        }
        return text;
    }

    test::TempDir dir;
    std::string socket = dir.path("run/hamrd.sock");
};

TEST_F(ControlServer, ServesStatusHistoryAndVersion) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    const Response status = ask("GET", "/v1/status");
    EXPECT_EQ(status.http, 200U);
    EXPECT_EQ(status.body, to_json(test::sample_status()));
    EXPECT_EQ(ask("GET", "/v1/history?since=0").body, to_json(test::sample_history()));
    EXPECT_EQ(parse_version(ask("GET", "/v1/version").body), "0.1.0");
}

TEST_F(ControlServer, MakesDirectoryAndSocketWithTheirModes) {
    {
        FakeAgent agent(options());
        ASSERT_TRUE(agent.start());
        struct stat info {};
        ASSERT_EQ(::stat(dir.path("run").c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777U, 0755U);
        ASSERT_EQ(::stat(socket.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777U, 0660U);
    }
    EXPECT_NE(::access(socket.c_str(), F_OK), 0) << "removed at the end";
}

TEST_F(ControlServer, AnswersAFailoverWhenItIsDone) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    const Response done =
        ask("POST", "/v1/failover", to_json(FailoverRequest{"router2", {}, true}));
    EXPECT_EQ(done.http, 200U);
    const auto answer = parse_failover_answer(done.body);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->moves.at(0), (Move{"default", "router1", "router2", 1.75}));

    const Response refused = ask("POST", "/v1/failover", R"({"to":"router2"})");
    EXPECT_EQ(refused.http, 409U);
    EXPECT_EQ(parse_error(refused.body).remedy, "heal it, or use --force");
    const Response unknown = ask("POST", "/v1/failover", R"({"to":"nosuch"})");
    EXPECT_EQ(unknown.http, 404U);
    EXPECT_EQ(ask("POST", "/v1/failover", R"({"to":)").http, 400U);
    EXPECT_EQ(ask("POST", "/v1/failover").http, 409U) << "no body is an order without details";
}

TEST_F(ControlServer, AFailoverWithoutEndIsA504) {
    ServerOptions quick = options();
    quick.failover = milliseconds(20);
    FakeAgent agent(quick);
    agent.handler.silent = true;
    ASSERT_TRUE(agent.start());
    EXPECT_EQ(ask("POST", "/v1/failover", "{}").http, 504U);
}

TEST_F(ControlServer, DrainsTakesBackAndReloads) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    const Response drained = ask("POST", "/v1/drain", R"({"timeout_ms":1500})");
    EXPECT_EQ(drained.http, 200U);
    EXPECT_EQ(parse_answer(drained.body)->message, "router1 drains");
    EXPECT_EQ(ask("POST", "/v1/undrain").http, 200U);
    EXPECT_EQ(parse_answer(ask("POST", "/v1/reload", "{}").body)->message, "haproxy has reloaded");
    EXPECT_EQ(agent.handler.drains,
              (std::vector<DrainRequest>{{true, 1500.0}, {false, std::nullopt}}));
    for (const char* path : {"/v1/drain", "/v1/undrain", "/v1/reload"}) {
        EXPECT_EQ(ask("POST", path, R"({"x":1})").http, 400U) << path;
        EXPECT_EQ(ask("GET", path).http, 405U) << path;
    }
    EXPECT_EQ(agent.handler.drains.size(), 2U);
}

TEST_F(ControlServer, DrainsABackendAndTakesItBack) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    const std::string body = R"({"address":"192.0.2.21:3306"})";
    const Response drained = ask("POST", "/v1/backend/drain", body);
    EXPECT_EQ(drained.http, 200U);
    EXPECT_EQ(parse_backend_answer(drained.body)->confirmed, std::vector<std::string>{"router2"});
    EXPECT_EQ(ask("POST", "/v1/backend/undrain", body).http, 200U);
    EXPECT_EQ(ask("POST", "/v1/backend/drain", "{}").http, 400U);
    EXPECT_EQ(ask("GET", "/v1/backend/drain").http, 405U);
    EXPECT_EQ(agent.handler.backends,
              (std::vector<BackendRequest>{{true, "192.0.2.21:3306"}, {false, "192.0.2.21:3306"}}));
}

TEST_F(ControlServer, ARefusedDrainSaysWhy) {
    FakeAgent agent(options());
    agent.handler.refusal = {Outcome::refused, "no other router is able to lead", "heal router2"};
    ASSERT_TRUE(agent.start());
    for (const char* path : {"/v1/drain", "/v1/undrain", "/v1/reload"}) {
        const Response refused = ask("POST", path);
        EXPECT_EQ(refused.http, 409U) << path;
        EXPECT_EQ(parse_error(refused.body).remedy, "heal router2");
    }
}

TEST_F(ControlServer, AWitnessHasNothingToDrain) {
    FakeAgent agent(options());
    agent.handler.current.node = "witness1";
    ASSERT_TRUE(agent.start());
    for (const char* path : {"/v1/drain", "/v1/undrain"}) {
        const Response refused = ask("POST", path);
        EXPECT_EQ(refused.http, 409U) << path;
        EXPECT_THAT(refused.body, HasSubstr("this node, witness1, is a witness"));
    }
    EXPECT_EQ(ask("POST", "/v1/backend/drain", R"({"address":"192.0.2.21"})").http, 409U);
    EXPECT_TRUE(agent.handler.backends.empty());
    EXPECT_TRUE(agent.handler.drains.empty());
}

TEST_F(ControlServer, AnExceptionIsA500AndTheServerLives) {
    FakeAgent agent(options());
    agent.handler.broken = true;
    ASSERT_TRUE(agent.start());
    const Response response = ask("GET", "/v1/status");
    EXPECT_EQ(response.http, 500U);
    EXPECT_THAT(response.body, HasSubstr("the fake is broken"));
    EXPECT_EQ(ask("GET", "/v1/version").http, 200U);
}

TEST_F(ControlServer, WrongPathsAndMethods) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    EXPECT_EQ(ask("GET", "/").http, 404U);
    EXPECT_EQ(ask("GET", "/v1/failover").http, 405U);
    EXPECT_EQ(ask("POST", "/v1/status").http, 405U);
    EXPECT_THAT(exchange_raw("POST /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n"),
                HasSubstr("Allow: GET\r\n"));
}

TEST_F(ControlServer, WhatIsNoRequestIsRefused) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    EXPECT_THAT(exchange_raw("hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(exchange_raw("POST /v1/failover HTTP/1.1\r\nContent-Length: 65537\r\n\r\n"),
                StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(exchange_raw("GET /v1/status HTTP/1.1\r\nX: " + std::string(9000, 'x')),
                StartsWith("HTTP/1.1 431 "));
    EXPECT_EQ(ask("GET", "/v1/version").http, 200U);
}

TEST_F(ControlServer, KeepsAConnectionForSeveralRequests) {
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    const std::string both = exchange_raw(
        "GET /v1/version HTTP/1.1\r\n\r\nGET /v1/version HTTP/1.1\r\nConnection: close\r\n\r\n");
    const std::string start = "HTTP/1.1 200 OK";
    const std::size_t second = both.find(start, 1);
    EXPECT_THAT(both, StartsWith(start));
    EXPECT_NE(second, std::string::npos);
}

TEST_F(ControlServer, ASilentClientIsLetGo) {
    ServerOptions quick = options();
    quick.idle = milliseconds(20);
    FakeAgent agent(quick);
    ASSERT_TRUE(agent.start());
    EXPECT_EQ(exchange_raw("GET /v1/sta"), "");
}

TEST_F(ControlServer, MoreClientsThanPlacesWaitTheirTurn) {
    ServerOptions small = options();
    small.connections = 2;
    small.idle = milliseconds(50);
    FakeAgent agent(small);
    ASSERT_TRUE(agent.start());
    std::vector<UniqueFd> idle;
    for (int i = 0; i < 6; ++i) idle.push_back(connect_raw());
    EXPECT_EQ(ask("GET", "/v1/version").http, 200U);
}

TEST_F(ControlServer, ASecondAgentIsToldSo) {
    FakeAgent first(options());
    ASSERT_TRUE(first.start());
    FakeAgent second(options());
    const auto started = second.start();
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message(), StartsWith("another hamrd is running: it answers on "));
    EXPECT_EQ(ask("GET", "/v1/version").http, 200U) << "the first one is untouched";
}

TEST_F(ControlServer, ASocketLeftByADeadAgentIsReplaced) {
    {
        FakeAgent maker(options());  // makes the directory
        ASSERT_TRUE(maker.start());
    }
    {
        const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
        ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
    FakeAgent agent(options());
    ASSERT_TRUE(agent.start());
    EXPECT_EQ(ask("GET", "/v1/version").http, 200U);
}

TEST_F(ControlServer, AFileInTheWayIsLeftAlone) {
    ServerOptions bad = options();
    bad.path = dir.write("file", "precious");
    FakeAgent agent(bad);
    const auto started = agent.start();
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message(), HasSubstr("exists and is not a socket"));
    bad.path = std::string(200, 'x');
    FakeAgent other(bad);
    EXPECT_THAT(other.start().error().message(), HasSubstr("must be 1 to 107 bytes long"));
}

TEST_F(ControlServer, TheClientSaysWhyItCannotReachTheAgent) {
    const auto absent = request({socket, seconds(20)}, "GET", "/v1/status");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().kind, ClientError::Kind::unreachable);
    EXPECT_EQ(absent.error().what,
              "the agent cannot be reached at " + socket + ": No such file or directory");
    EXPECT_THAT(absent.error().remedy, HasSubstr("systemctl status hamrd"));
}

TEST_F(ControlServer, TheClientDoesNotWaitForEver) {
    const std::string path = dir.path("mute.sock");
    const UniqueFd mute(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(mute.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(mute.get(), 4), 0);
    const auto response = request({path, milliseconds(30)}, "GET", "/v1/status");
    ASSERT_FALSE(response);
    EXPECT_THAT(response.error().what, HasSubstr("did not answer within"));
}

}  // namespace
}  // namespace hamr::control
