// SPDX-License-Identifier: GPL-2.0-or-later
// A router's output as lines, and the words for its end.

#include "router/exit_words.hpp"
#include "router/output_lines.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace hamr::router {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;

constexpr BootTime start{1000s};

TEST(OutputLines, pieces_become_lines) {
    OutputLines lines;
    EXPECT_THAT(lines.feed("one\ntw", start), ElementsAre("one"));
    EXPECT_THAT(lines.feed("o\r\n\n\nthree", start), ElementsAre("two"));
    EXPECT_THAT(lines.end(start), ElementsAre("three"));
    EXPECT_TRUE(lines.end(start).empty());
}

TEST(OutputLines, a_line_is_cut) {
    OutputLines lines;
    EXPECT_TRUE(lines.feed(std::string(1'000'000, 'x'), start).empty());
    const auto out = lines.feed("\nnext\n", start);
    ASSERT_EQ(out.size(), 2U);
    EXPECT_THAT(out[0], EndsWith("x [cut]"));
    EXPECT_LE(out[0].size(), OutputLines::max_line + 6);
    EXPECT_EQ(out[1], "next");
}

TEST(OutputLines, a_flood_is_counted) {
    OutputLines lines;
    std::string flood;
    for (int i = 0; i < 200; ++i) flood += std::to_string(i) + "\n";
    EXPECT_EQ(lines.feed(flood, start).size(), OutputLines::rate);
    EXPECT_EQ(lines.next(), start + 1s);
    EXPECT_EQ(lines.newest().back(), "199");
    EXPECT_TRUE(lines.tick(start + 999ms).empty());
    EXPECT_THAT(lines.tick(start + 1s), ElementsAre("[150 lines dropped]"));
    EXPECT_EQ(lines.next(), never);
    EXPECT_THAT(lines.feed("after\n", start + 1s), ElementsAre("after"));
}

// MySQL Router writes some 25 lines each time that it starts in vain, five times in a second.
TEST(OutputLines, what_a_flood_has_dropped_still_says_why_it_ended) {
    OutputLines lines;
    for (int i = 0; i < 60; ++i) (void)lines.feed("of an earlier start\n", start);
    lines.forget();
    EXPECT_TRUE(lines.feed("starting\nError: Address already in use\nbye\n", start).empty());
    EXPECT_EQ(telling_line(lines.newest()), "Error: Address already in use");
    for (int i = 0; i < 100; ++i) (void)lines.feed("more\n", start);
    EXPECT_EQ(lines.newest().size(), OutputLines::remembered);
}

TEST(Printable, what_acts_on_a_terminal_is_escaped) {
    EXPECT_EQ(printable("a\tb\x1b[0m\x7f\x01"), "a b\\x1b[0m\\x7f\\x01");
    EXPECT_EQ(printable("caf\xc3\xa9 \xe2\x82\xac"), "caf\xc3\xa9 \xe2\x82\xac");
    EXPECT_EQ(printable("\xc3 \xff \xc2\x9b"), "\\xc3 \\xff \\xc2\\x9b");
    EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
}

TEST(Printable, nothing_but_printable_leaves) {
    EXPECT_TRUE(rc::check([](const std::string& text) {
        const std::string out = printable(text, 100);
        RC_ASSERT(out.size() <= 100U);
        for (const char c : out) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }));
}

TEST(ExitWords, durations) {
    const std::vector<std::pair<Duration, std::string>> rows = {
        {0ms, "0 ms"}, {-5ms, "0 ms"},  {40ms, "40 ms"}, {999ms, "999 ms"}, {2150ms, "2.1 s"},
        {42s, "42 s"}, {5min, "5 min"}, {3h, "3 h"},     {300h, "12 days"}};
    for (const auto& [duration, words] : rows) EXPECT_EQ(in_words(duration), words);
}

TEST(ExitWords, the_line_that_tells_most) {
    EXPECT_EQ(telling_line({}), "");
    EXPECT_EQ(telling_line({"one", "two"}), "two");
    EXPECT_EQ(telling_line({"[NOTICE] (1) : haproxy version is 2.6.12",
                            "[ALERT] (1) : Starting frontend db: cannot bind socket (Address "
                            "already in use) [0.0.0.0:3306]",
                            "[ALERT] (1) : [haproxy.main()] Some protocols failed to start"}),
              "[ALERT] (1) : Starting frontend db: cannot bind socket (Address already in use) "
              "[0.0.0.0:3306]");
    EXPECT_EQ(telling_line({"starting", "Error: PID file /x exists", "bye"}),
              "Error: PID file /x exists");
}

}  // namespace

}  // namespace hamr::router
