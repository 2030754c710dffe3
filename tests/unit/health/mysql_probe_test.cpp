// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/health/asking.hpp"

namespace hamr::health_io {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

std::string packet(unsigned sequence, const std::string& payload) {
    std::string out;
    for (unsigned shift : {0u, 8u, 16u}) out += static_cast<char>(payload.size() >> shift & 0xff);
    return out + static_cast<char>(sequence) + payload;
}

/// With TLS on offer unless `capabilities` say otherwise.
std::string greeting(const std::string& version, const char* low_capabilities = "\xff\xff") {
    return packet(0, "\x0a"s + version + "\0"s + "\x07\0\0\0"s + "12345678\0"s + low_capabilities +
                         "\xff"s + "\x02\0"s + "\xff\xdf"s + "\x15"s + std::string(10, '\0') +
                         "123456789012\0"s + "mysql_native_password\0"s);
}

std::string error(unsigned sequence, unsigned code, const std::string& words) {
    return packet(sequence,
                  "\xff"s + static_cast<char>(code & 0xff) + static_cast<char>(code >> 8) + words);
}

class MysqlProbeTest : public AskingTest {
  protected:
    /// Asks one who greets so and answers a login so.
    health::ProbeResult ask_one(const std::string& first, const std::string& second = "",
                                health::MysqlProbe what = {}) {
        Stranger stranger(io_, [&](Taken& taken) {
            taken.send(first, [&taken, second] {
                if (second.empty()) return taken.close();
                taken.on_read([&taken, second](const std::string&) {
                    taken.send(second, [&taken] { taken.close(); });
                });
            });
        });
        what.target = stranger.endpoint();
        return ask(what);
    }

    /// The same, as a user whose password is known.
    static health::MysqlProbe with_user() {
        health::MysqlProbe what;
        what.user = "hamr";
        what.password = "secret";
        return what;
    }
};

TEST_F(MysqlProbeTest, a_server_that_refuses_a_stranger_is_up) {
    EXPECT_THAT(ask_one(greeting("9.7.0"), error(2, 1045, "#28000Access denied")),
                IsUp("a server answered (access denied is what was expected; MySQL 9.7.0)"));
    EXPECT_THAT(ask_one(greeting("9.7.4-router"), error(2, 1045, "#28000Access denied")),
                IsUp("a server answered (access denied is what was expected; through MySQL Router "
                     "9.7.4)"));
    for (unsigned code : {1044u, 1251u, 1698u, 1862u, 3159u}) {
        EXPECT_THAT(ask_one(greeting("9.7.0"), error(2, code, "#HY000whatever")),
                    IsUp(HasSubstr("a server answered")));
    }
}

TEST_F(MysqlProbeTest, a_server_that_lets_a_stranger_in_is_up) {
    EXPECT_THAT(ask_one(greeting("5.5.5-10.11.14-MariaDB"), packet(2, "\0\0\0\x02\0\0\0"s)),
                IsUp("a server answered and let hamr-health in (MariaDB 10.11.14)"));
}

TEST_F(MysqlProbeTest, who_answers_for_a_server_is_told_apart) {
    EXPECT_THAT(ask_one(greeting("8.0.11"), error(2, 1045, "#28000ProxySQL Error: Access denied")),
                IsUp(HasSubstr("answered by itself")));
    EXPECT_THAT(ask_one(greeting("9.7.4-router"), error(2, 3159, "#HY000use TLS")),
                IsUp(HasSubstr("answered by itself")));
}

TEST_F(MysqlProbeTest, servers_that_speak_and_cannot_be_used_are_down_by_name) {
    struct Row {
        unsigned code;
        const char* words;
    };
    for (const Row& row :
         {Row{1040, "too many connections"}, Row{1129, "blocked"}, Row{1130, "not allowed"},
          Row{1047, "not ready"}, Row{2003, "no server can be reached"},
          Row{9001, "no server can be reached"}, Row{1105, "said (1105)"}}) {
        EXPECT_THAT(ask_one(error(0, row.code, "it said")),
                    IsDown(AllOf(HasSubstr("answers with an error"), HasSubstr(row.words))));
        EXPECT_THAT(ask_one(greeting("9.7.4-router"), error(2, row.code, "#HY000it said")),
                    IsDown(AllOf(HasSubstr("(MySQL Router 9.7.4)"), HasSubstr(row.words))));
    }
}

TEST_F(MysqlProbeTest, closing_is_named_by_when_it_comes) {
    EXPECT_THAT(ask_one(""), IsDown(HasSubstr("accepted and closed without a greeting")));
    EXPECT_THAT(ask_one(greeting("9.7.0").substr(0, 20)),
                IsDown(HasSubstr("accepted and closed without a greeting")));
    EXPECT_THAT(ask_one(greeting("9.7.0")),
                IsDown(HasSubstr("(MySQL 9.7.0) greeted and closed before it answered")));
}

TEST_F(MysqlProbeTest, garbage_is_named) {
    EXPECT_THAT(ask_one("SSH-2.0-OpenSSH_9.2p1\r\n"),
                IsDown(HasSubstr("is not MySQL's protocol: \"SSH-2.0-OpenSSH_9.2p1\"")));
    EXPECT_THAT(ask_one("\x05\0\0\0\x0b\x08\x05\x1a\0"s), IsDown(HasSubstr("X Protocol")));
    EXPECT_THAT(ask_one("\0\0\x10\0\x0a"s + std::string(1 << 20, '9')),
                IsDown(HasSubstr("is not MySQL's protocol")));
}

TEST_F(MysqlProbeTest, silence_is_named_by_when_it_comes) {
    Stranger silent(io_, [](Taken&) {});
    Stranger slow(io_, [](Taken& taken) { taken.drip(greeting("9.7.0"), milliseconds(50)); });
    Stranger mute(io_, [](Taken& taken) { taken.send(greeting("9.7.0")); });
    for (const bool user : {false, true}) {
        health::MysqlProbe what = user ? with_user() : health::MysqlProbe{};
        what.target = silent.endpoint();
        EXPECT_THAT(ask(what, milliseconds(60)),
                    IsDown(silent.where() + " accepted and never greeted within 60 ms"));
        what.target = slow.endpoint();
        EXPECT_THAT(ask(what, milliseconds(160)), IsDown(HasSubstr("greet")));
        what.target = mute.endpoint();
        EXPECT_THAT(ask(what, milliseconds(60)), IsDown(HasSubstr("did not answer the login")));
    }
}

TEST_F(MysqlProbeTest, a_user_meets_the_same_strangers) {
    health::MysqlProbe what = with_user();
    EXPECT_THAT(ask_one("SSH-2.0-OpenSSH_9.2p1\r\n", "", what), IsDown(HasSubstr("127.0.0.1:")));
    EXPECT_THAT(ask_one("", "", what),
                IsDown(HasSubstr("it accepted and closed without a greeting")));
    EXPECT_THAT(ask_one(error(0, 1040, "Too many connections"), "", what),
                IsDown(HasSubstr("too many connections")));
    EXPECT_THAT(ask_one(greeting("9.7.4-router"),
                        error(2, 2003, "#HY000Can't connect to remote MySQL server"), what),
                IsDown(HasSubstr("no server can be reached behind it")));
    EXPECT_THAT(ask_one(greeting("8.0.11"), error(2, 9001, "#HY000Max connect timeout"), what),
                IsDown(HasSubstr("no server can be reached behind it")));
    EXPECT_THAT(ask_one(greeting("9.7.0"), error(2, 1045, "#28000Access denied"), what),
                IsDown(HasSubstr("access denied")));
}

TEST_F(MysqlProbeTest, nobody_there_is_refused_by_name) {
    Stranger stranger(io_, [](Taken&) {});
    const Endpoint gone = stranger.endpoint();
    stranger.stop_listening();
    for (const bool user : {false, true}) {
        health::MysqlProbe what = user ? with_user() : health::MysqlProbe{};
        what.target = gone;
        EXPECT_THAT(ask(what), IsDown("connection refused by " + gone.to_string()));
    }
}

TEST_F(MysqlProbeTest, tls_is_asked_for_and_its_lack_is_named) {
    health::MysqlProbe what = with_user();
    for (const auto tls : {health::MysqlProbe::Tls::required, health::MysqlProbe::Tls::verified}) {
        what.tls = tls;
        EXPECT_THAT(ask_one(greeting("9.7.0", "\xff\xf7"), "", what),
                    IsDown(EndsWith("TLS failed: the server offers none")));
        EXPECT_THAT(ask_one(greeting("9.7.0"), "no TLS at all", what), IsDown(HasSubstr("TLS")));
    }
}

/// Where libmariadb itself would sit and wait.
TEST_F(MysqlProbeTest, a_tls_handshake_that_hangs_stops_nobody) {
    Stranger stranger(io_, [](Taken& taken) { taken.send(greeting("9.7.0")); });
    health::MysqlProbe what = with_user();
    what.target = stranger.endpoint();
    what.tls = health::MysqlProbe::Tls::required;
    const auto probe = make_probe(io_.get_executor(), what);
    const auto other = make_probe(io_.get_executor(), what);
    int ticks = 0;
    bool over = false;
    boost::asio::steady_timer timer(io_);
    std::function<void()> tick = [&] {
        timer.expires_after(milliseconds(1));
        timer.async_wait([&](auto error) {
            if (error || over) return;
            ++ticks;
            tick();
        });
    };
    tick();
    other->run(milliseconds(5000), [](const health::ProbeResult&) { FAIL(); });
    EXPECT_THAT(ask(*probe, milliseconds(200)),
                IsDown(stranger.where() + " greeted and did not agree on TLS within 200 ms"));
    over = true;
    timer.cancel();
    EXPECT_GT(ticks, 10) << "the loop went on";
    other->cancel();
    EXPECT_FALSE(other->running());
}

}  // namespace
}  // namespace hamr::health_io
