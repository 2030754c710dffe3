// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/greeting.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::mysql {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using Stage = AnonymousLogin::Stage;
using End = AnonymousLogin::End;

std::string packet(unsigned sequence, const std::string& payload) {
    std::string out;
    for (unsigned shift : {0u, 8u, 16u}) out += static_cast<char>(payload.size() >> shift & 0xff);
    return out + static_cast<char>(sequence) + payload;
}

/// As MySQL 8 and later send it.
std::string greeting(const std::string& version, const std::string& plugin) {
    return "\x0a"s + version + "\0"s + "\x07\0\0\0"s + "12345678\0"s + "\xff\xff"s + "\xff"s +
           "\x02\0"s + "\xff\xdf"s + "\x15"s + std::string(10, '\0') + "123456789012\0"s + plugin +
           "\0"s;
}

std::string error(unsigned code, const std::string& words) {
    return "\xff"s + static_cast<char>(code & 0xff) + static_cast<char>(code >> 8) + words;
}

TEST(Greeting, is_read) {
    const auto got = parse_greeting(greeting("9.7.0", "caching_sha2_password"));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->version, "9.7.0");
    EXPECT_EQ(got->connection, 7u);
    EXPECT_EQ(got->capabilities, 0xdfffffffu);
    EXPECT_EQ(got->plugin, "caching_sha2_password");
    EXPECT_TRUE(got->offers_tls());
    EXPECT_FALSE(got->of_mysql_router());
    EXPECT_TRUE(parse_greeting(greeting("9.7.4-router", ""))->of_mysql_router());
}

TEST(Greeting, every_shorter_one_is_refused_or_understood_and_never_read_past) {
    const std::string whole = greeting("9.7.0", "caching_sha2_password");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::string part = whole.substr(0, size);
        const auto got = parse_greeting(std::string_view(part));
        if (size < 7) {
            EXPECT_FALSE(got) << size;
        }
    }
    EXPECT_FALSE(parse_greeting("\x09"s + whole.substr(1))) << "an older protocol";
    EXPECT_FALSE(parse_greeting("\x0a\0"s + whole.substr(7))) << "no version";
}

TEST(Greeting, errors_are_read_with_and_without_sql_state) {
    const auto early = parse_error(error(1040, "Too many connections"));
    ASSERT_TRUE(early);
    EXPECT_EQ(early->code, 1040u);
    EXPECT_EQ(early->state, "");
    EXPECT_EQ(early->message, "Too many connections");
    const auto late = parse_error(error(1045, "#28000Access denied"));
    ASSERT_TRUE(late);
    EXPECT_EQ(late->state, "28000");
    EXPECT_EQ(late->message, "Access denied");
    EXPECT_FALSE(parse_error("\xff"));
    EXPECT_FALSE(parse_error("\0"s));
}

TEST(Greeting, versions_in_words) {
    EXPECT_EQ(version_in_words("5.5.5-10.11.14-MariaDB-0+deb12u2"), "MariaDB 10.11.14");
    EXPECT_EQ(version_in_words("11.8.2-MariaDB"), "MariaDB 11.8.2");
    EXPECT_EQ(version_in_words("9.7.4-router"), "MySQL Router 9.7.4");
    EXPECT_EQ(version_in_words("8.0.36-0ubuntu0.22.04.1"), "MySQL 8.0.36");
    EXPECT_EQ(version_in_words("9.7.0"), "MySQL 9.7.0");
}

// AnonymousLogin --------------------------------------------------------------------------------

TEST(AnonymousLogin, is_refused_and_over) {
    AnonymousLogin login("hamr-health");
    EXPECT_EQ(login.stage(), Stage::silent);
    const std::string reply = login.feed(packet(0, greeting("9.7.0", "mysql_native_password")));
    EXPECT_EQ(login.stage(), Stage::login);
    EXPECT_EQ(static_cast<std::uint8_t>(reply[0]) + 4u, reply.size());
    EXPECT_EQ(reply[3], 1);
    EXPECT_THAT(reply, HasSubstr("hamr-health\0\0mysql_native_password\0"s));
    EXPECT_EQ(reply[4 + 1] & 0x08, 0) << "TLS is not asked for";
    EXPECT_THAT(login.feed(packet(2, error(1045, "#28000Access denied"))), IsEmpty());
    EXPECT_EQ(login.end(), End::refused);
    EXPECT_EQ(login.error()->code, 1045u);
}

TEST(AnonymousLogin, understands_bytes_one_by_one) {
    AnonymousLogin login("hamr-health");
    std::string reply;
    for (char c : packet(0, greeting("9.7.0", "caching_sha2_password"))) {
        EXPECT_THAT(reply, IsEmpty());
        reply += login.feed({&c, 1});
    }
    EXPECT_THAT(reply, HasSubstr("hamr-health"));
    for (char c : packet(2, error(1045, "#28000Access denied"))) (void)login.feed({&c, 1});
    EXPECT_EQ(login.end(), End::refused);
}

TEST(AnonymousLogin, follows_a_change_of_plugin_to_its_end) {
    AnonymousLogin login("hamr-health");
    (void)login.feed(packet(0, greeting("9.7.0", "caching_sha2_password")));
    EXPECT_EQ(login.feed(packet(2,
                                "\xfe"
                                "mysql_native_password\0salt\0"s)),
              packet(3, ""));
    EXPECT_EQ(login.feed(packet(4,
                                "\xfe"
                                "caching_sha2_password\0salt\0"s)),
              packet(5, "\0"s));
    EXPECT_THAT(login.feed(packet(6, "\x01\x03"s)), IsEmpty()) << "fast authentication went well";
    EXPECT_EQ(login.feed(packet(7, "\x01\x04"s)), packet(8, "\0"s)) << "full authentication";
    (void)login.feed(packet(9, error(1045, "#28000Access denied")));
    EXPECT_EQ(login.end(), End::refused);
}

TEST(AnonymousLogin, says_goodbye_where_it_is_let_in) {
    AnonymousLogin login("hamr-health");
    (void)login.feed(packet(0, greeting("9.7.0", "mysql_native_password")));
    EXPECT_EQ(login.feed(packet(2, "\0\0\0\x02\0\0\0"s)), packet(0, "\x01"));
    EXPECT_EQ(login.end(), End::let_in);
}

TEST(AnonymousLogin, an_error_instead_of_a_greeting) {
    AnonymousLogin login("hamr-health");
    EXPECT_THAT(login.feed(packet(0, error(1040, "Too many connections"))), IsEmpty());
    EXPECT_EQ(login.end(), End::rejected);
    EXPECT_EQ(login.error()->code, 1040u);
}

TEST(AnonymousLogin, what_is_no_mysql_is_kept_in_part) {
    for (const std::string& sent :
         {"SSH-2.0-OpenSSH_9.2p1\r\n"s, "HTTP/1.1 400 Bad Request\r\n\r\n"s,
          std::string(1 << 20, 'x'), packet(0, "\x05"s + "9.7.0\0"s), packet(0, ""),
          packet(1, greeting("9.7.0", "")), packet(0, "\xff"s)}) {
        AnonymousLogin login("hamr-health");
        EXPECT_THAT(login.feed(sent), IsEmpty());
        EXPECT_EQ(login.end(), End::not_mysql) << sent.substr(0, 30);
        EXPECT_EQ(login.garbage(), sent.substr(0, 32));
    }
}

TEST(AnonymousLogin, a_greeting_of_a_megabyte_is_not_waited_for) {
    AnonymousLogin login("hamr-health");
    EXPECT_THAT(login.feed("\0\0\x10\0\x0a"s + std::string(4096, '9')), IsEmpty());
    EXPECT_EQ(login.end(), End::not_mysql);
}

TEST(AnonymousLogin, does_not_play_along_for_ever) {
    AnonymousLogin login("hamr-health");
    (void)login.feed(packet(0, greeting("9.7.0", "mysql_native_password")));
    unsigned rounds = 0;
    while (login.stage() != Stage::over && rounds < 100) {
        (void)login.feed(packet(2 + 2 * rounds++,
                                "\xfe"
                                "dialog\0salt\0"s));
    }
    EXPECT_EQ(login.end(), End::not_mysql);
    EXPECT_LT(rounds, 20u);
}

TEST(AnonymousLogin, a_connection_that_ends_is_broken_off_wherever_it_stands) {
    AnonymousLogin silent("hamr-health");
    silent.closed();
    EXPECT_EQ(silent.end(), End::broken_off);
    AnonymousLogin greeted("hamr-health");
    (void)greeted.feed(packet(0, greeting("9.7.0", "mysql_native_password")));
    greeted.closed();
    EXPECT_EQ(greeted.end(), End::broken_off);
    EXPECT_TRUE(greeted.greeting());
}

}  // namespace
}  // namespace hamr::mysql
