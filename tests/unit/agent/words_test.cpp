// SPDX-License-Identifier: GPL-2.0-or-later
// What strangers wrote, as it reaches a terminal, a log or a program: found by tests/fuzz.
#include "agent/cli/terminal.hpp"
#include "agent/control/json.hpp"
#include "tests/unit/agent/config_rows.hpp"

#include <limits>
#include <string>
#include <utility>

#include <gmock/gmock.h>

namespace hamr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Printable, control_characters_of_the_second_block_are_none_for_a_terminal) {
    // U+009B is what ESC [ is.
    EXPECT_EQ(cli::printable("a\xc2\x9b"
                             "31m b\xc2\x80\xc2\x9f"),
              "a?31m b??");
    EXPECT_EQ(cli::printable("\x1b[31m\x7f\n"), "?[31m??");
    EXPECT_EQ(cli::printable("\u00a0\u00e4\u20ac"), "\u00a0\u00e4\u20ac");
    EXPECT_EQ(cli::printable("\xc2"), "\xc2");
}

TEST(ConfigWords, what_a_message_quotes_of_the_file_stays_in_its_line) {
    EXPECT_THAT(test::problems_of(test::with(6, R"("\e[31m\r\n\u009b": 1)")),
                ElementsAre(HasSubstr("unknown key \"?[31m???\"")));
    EXPECT_THAT(test::problems_of(test::with(4, R"(vip: "1\u00852")")),
                ElementsAre(HasSubstr("\"1?2\"")));
}

TEST(StatusJson, times_without_end_are_written_as_numbers) {
    control::Status status;
    control::GroupStatus& group = status.groups.emplace_back();
    group.name = "g";
    const double endless = std::numeric_limits<double>::infinity();
    for (const double ms : {endless, -endless, 1e306, -1e306, 1e15, 0.0004, -0.0}) {
        group.lease_ms = ms;
        const std::string text = control::to_json(status);
        const auto read = control::parse_status(text);
        ASSERT_TRUE(read) << text;
        EXPECT_TRUE(read->groups.front().lease_ms) << text;
        EXPECT_EQ(control::to_json(*read), text);
    }
}

/// Boost.JSON makes of it 0 times an endless number.
TEST(HistoryJson, what_is_read_as_no_number_is_none) {
    const auto history = control::parse_history(R"([{"stages_ms":{"a":0e316,"b":2}}])");
    ASSERT_TRUE(history);
    EXPECT_THAT(history->front().stages_ms, ElementsAre(std::pair<std::string, double>("b", 2)));
    EXPECT_FALSE(control::parse_failover_answer(R"({"message":"m","moves":[{"ms":0e316}]})"));
    EXPECT_FALSE(control::parse_drain_request(R"({"timeout_ms":0e316})"));
}

}  // namespace
}  // namespace hamr
