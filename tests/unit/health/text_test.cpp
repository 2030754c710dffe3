// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/text.hpp"

#include "health/probe.hpp"

#include <string>

#include <gtest/gtest.h>

namespace hamr::health {
namespace {

using namespace std::string_literals;

TEST(Printable, makes_one_line_without_control_characters) {
    EXPECT_EQ(printable("  one\n\ttwo \r\n", 100), "one two");
    EXPECT_EQ(printable("a\x1b[31mred\x07\x7f\0b"s, 100), "a?[31mred???b");
    EXPECT_EQ(printable("", 100), "");
    EXPECT_EQ(printable(" \n ", 100), "");
}

TEST(Printable, keeps_valid_utf8_only) {
    EXPECT_EQ(printable("Grüße, 漢字, 😀", 100), "Grüße, 漢字, 😀");
    EXPECT_EQ(printable("\xc3", 100), "?");
    EXPECT_EQ(printable("\xc0\xaf", 100), "??") << "overlong";
    EXPECT_EQ(printable("\xed\xa0\x80", 100), "???") << "a surrogate";
    EXPECT_EQ(printable("\xf4\x90\x80\x80", 100), "????") << "beyond Unicode";
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m",
                        100),
              "??31m")
        << "a control character of the second set";
}

TEST(Printable, cuts_at_a_character) {
    EXPECT_EQ(printable("abcdefgh", 8), "abcdefgh");
    EXPECT_EQ(printable("abcdefghi", 8), "abcde...");
    EXPECT_EQ(printable("abcdüüüüü", 8), "abcd...") << "no half character";
    EXPECT_EQ(printable(std::string(1 << 20, 'x'), ProbeResult::max_text).size(),
              ProbeResult::max_text);
}

TEST(ProbeSpec, kinds_have_names) {
    EXPECT_EQ(kind_of(ProcessProbe{}), "process");
    EXPECT_EQ(kind_of(TcpProbe{}), "tcp");
    EXPECT_EQ(kind_of(MysqlProbe{}), "mysql");
    EXPECT_EQ(kind_of(HttpProbe{}), "http");
    EXPECT_EQ(kind_of(CommandProbe{}), "command");
}

}  // namespace
}  // namespace hamr::health
