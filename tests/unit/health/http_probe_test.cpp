// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/health/asking.hpp"

namespace hamr::health_io {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

std::string page(const std::string& status, const std::string& body,
                 const std::string& fields = "") {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           fields + "\r\n" + body;
}

class HttpProbeTest : public AskingTest {
  protected:
    /// Asks a stranger who answers any request with `answer`.
    health::ProbeResult ask_one(const std::string& answer, health::HttpProbe what = {},
                                Duration timeout = milliseconds(5000)) {
        Stranger stranger(io_, [&](Taken& taken) {
            taken.on_read([&taken, this, answer](std::string request) {
                request_ = std::move(request);
                taken.send(answer, [&taken] {
                    taken.socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send);
                });
            });
        });
        what.target = stranger.endpoint();
        url_ = "http://" + stranger.where() + what.path;
        return ask(what, timeout);
    }

    std::string request_;
    std::string url_;
};

TEST_F(HttpProbeTest, a_good_status_is_up) {
    for (const char* status : {"200 OK", "204 No Content", "302 Found"}) {
        const auto result = ask_one(page(status, ""));
        EXPECT_THAT(result, IsUp("HTTP " + std::string(status, 3) + " from " + url_));
    }
}

TEST_F(HttpProbeTest, the_request_is_what_was_configured) {
    health::HttpProbe what;
    what.path = "/api/20190715/routes/rw/health?x=1";
    what.host = "router1.example";
    what.user = "hamr";
    what.password = "secret:word";
    EXPECT_TRUE(ask_one(page("200 OK", ""), what).ok);
    EXPECT_THAT(request_, AllOf(HasSubstr("GET /api/20190715/routes/rw/health?x=1 HTTP/1.1\r\n"),
                                HasSubstr("Host: router1.example\r\n"),
                                HasSubstr("Authorization: Basic aGFtcjpzZWNyZXQ6d29yZA==\r\n"),
                                HasSubstr("Connection: close\r\n")));
    EXPECT_TRUE(ask_one(page("200 OK", "")).ok);
    EXPECT_THAT(request_, AllOf(HasSubstr("Host: 127.0.0.1:"), Not(HasSubstr("Authorization"))));
}

TEST_F(HttpProbeTest, a_bad_status_is_named_with_the_page_s_own_words) {
    EXPECT_THAT(
        ask_one(page("503 Service Unavailable", "Galera cluster node is not synced.\r\n")),
        IsDown(AllOf(HasSubstr("HTTP 503 from http://127.0.0.1:"),
                     EndsWith("Service Unavailable (Galera cluster node is not synced.)"))));
    EXPECT_THAT(ask_one(page("500 Internal Server Error", "<html>", "Content-Type: text/html\r\n")),
                IsDown(EndsWith(": Internal Server Error")));
    EXPECT_THAT(ask_one(page("401 Unauthorized", "")),
                IsDown(EndsWith(": wrong or missing credentials")));
    EXPECT_THAT(ask_one(page("500 ", R"({"isAlive":false})")),
                IsDown(EndsWith(R"(: Internal Server Error ({"isAlive":false}))")));
}

TEST_F(HttpProbeTest, the_status_expected_may_be_another) {
    health::HttpProbe what;
    what.status = 401;
    EXPECT_TRUE(ask_one(page("401 Unauthorized", ""), what).ok);
    EXPECT_THAT(ask_one(page("200 OK", ""), what), IsDown(EndsWith(": OK, not the 401 expected")));
}

TEST_F(HttpProbeTest, the_text_wanted_decides) {
    health::HttpProbe what;
    what.contains = R"("isAlive":true)";
    EXPECT_THAT(ask_one(page("200 OK", R"({"isAlive":true})"), what), IsUp(HasSubstr("contains")));
    EXPECT_THAT(ask_one(page("200 OK", R"({"isAlive":false})"), what),
                IsDown(HasSubstr("does not contain")));
    EXPECT_THAT(ask_one(page("200 OK", std::string(30'000, 'x') + R"("isAlive":true)"), what),
                IsUp(HasSubstr("contains")));
    // Chunked, and split in the middle.
    EXPECT_TRUE(ask_one("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "8\r\n{\"isAliv\r\n8\r\ne\":true}\r\n0\r\n\r\n",
                        what)
                    .ok);
    // Up to the end of the connection.
    EXPECT_TRUE(ask_one("HTTP/1.0 200 OK\r\n\r\n{\"isAlive\":true}", what).ok);
}

TEST_F(HttpProbeTest, the_first_64_kib_are_read_and_no_length_is_believed) {
    health::HttpProbe what;
    what.contains = "never there";
    EXPECT_THAT(ask_one(page("200 OK", std::string(200'000, 'x')), what),
                IsDown(HasSubstr("in its first 64 KiB")));
    EXPECT_THAT(ask_one("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775000\r\n\r\nx", what,
                        milliseconds(5000)),
                IsDown(HasSubstr("broke off")));
}

TEST_F(HttpProbeTest, an_endless_body_ends) {
    Stranger stranger(io_, [](Taken& taken) {
        taken.send("HTTP/1.1 200 OK\r\n\r\n", [&taken] { taken.flood(std::string(4096, 'x')); });
    });
    health::HttpProbe what;
    what.target = stranger.endpoint();
    EXPECT_THAT(ask(what), IsUp(HasSubstr("HTTP 200")));
    what.contains = "y";
    EXPECT_THAT(ask(what), IsDown(HasSubstr("in its first 64 KiB")));
}

TEST_F(HttpProbeTest, an_endless_header_ends) {
    Stranger stranger(io_, [](Taken& taken) {
        taken.send("HTTP/1.1 200 OK\r\n", [&taken] { taken.flood("X-More: and more\r\n"); });
    });
    health::HttpProbe what;
    what.target = stranger.endpoint();
    EXPECT_THAT(ask(what), IsDown(HasSubstr("longer than 64 KiB")));
}

TEST_F(HttpProbeTest, what_is_not_http_is_named) {
    EXPECT_THAT(ask_one("SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), IsDown(HasSubstr("is not HTTP")));
    EXPECT_THAT(ask_one(std::string("\x4a\0\0\0\x0a\x39.7.0\0", 11)),
                IsDown(HasSubstr("127.0.0.1:")));
    EXPECT_THAT(ask_one("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
                IsDown(HasSubstr("is not HTTP")));
    EXPECT_THAT(ask_one("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
                IsDown(HasSubstr("is not HTTP")));
    EXPECT_THAT(ask_one(""), IsDown(HasSubstr("accepted and closed without an answer")));
}

TEST_F(HttpProbeTest, silence_and_slowness_time_out_in_words) {
    health::HttpProbe what;
    Stranger silent(io_, [](Taken&) {});
    what.target = silent.endpoint();
    EXPECT_THAT(ask(what, milliseconds(50)),
                IsDown(silent.where() + " accepted and did not answer within 50 ms"));
    Stranger slow(io_, [](Taken& taken) { taken.drip(page("200 OK", "body"), milliseconds(50)); });
    what.target = slow.endpoint();
    EXPECT_THAT(ask(what, milliseconds(120)), IsDown(HasSubstr("did not answer within 120 ms")));
    Stranger half(
        io_, [](Taken& taken) { taken.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"); });
    what.target = half.endpoint();
    EXPECT_THAT(ask(what, milliseconds(50)), IsDown(HasSubstr("did not end within 50 ms")));
}

TEST_F(HttpProbeTest, a_path_cannot_smuggle_a_header) {
    for (const char* path : {"/\r\nX: y", "/a b", "/\x7f"}) {
        health::HttpProbe what;
        what.path = path;
        EXPECT_THAT(ask_one(page("200 OK", ""), what), IsDown(HasSubstr("cannot be asked for")));
    }
}

}  // namespace
}  // namespace hamr::health_io
