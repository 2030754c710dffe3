// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/failover_words.hpp"

#include <string>

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using control::Outcome;
using election::AskResult;

struct Row {
    const char* name;
    AskResult result;
    const char* target;
    Outcome outcome;
    const char* message;
};

class Explain : public testing::TestWithParam<Row> {};

TEST_P(Explain, SaysWhatAndWhatToDo) {
    const Row& row = GetParam();
    const control::FailoverAnswer answer = explain(row.result, "default", row.target);
    EXPECT_EQ(answer.outcome, row.outcome);
    EXPECT_EQ(answer.message, std::string("group default: ") + row.message);
    EXPECT_EQ(answer.remedy.empty(), row.outcome == Outcome::done) << answer.remedy;
    EXPECT_TRUE(answer.moves.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Explain,
    testing::Values(
        Row{"accepted", AskResult::accepted, "r2", Outcome::done, "r2 leads"},
        Row{"already", AskResult::already_leader, "r2", Outcome::done, "r2 leads already"},
        Row{"unknown", AskResult::unknown_target, "r9", Outcome::unknown,
            "the leader does not know the node r9"},
        Row{"silent", AskResult::target_silent, "r2", Outcome::refused, "r2 is silent"},
        Row{"worse", AskResult::target_worse, "r2", Outcome::refused,
            "r2 is less healthy than the leader"},
        Row{"all_worse", AskResult::target_worse, "", Outcome::refused,
            "every other router is less healthy than the leader"},
        Row{"starting", AskResult::target_starting, "r2", Outcome::refused,
            "r2 has just started and may not lead yet"},
        Row{"best_starting", AskResult::target_starting, "", Outcome::refused,
            "the best peer has just started and may not lead yet"},
        Row{"drained", AskResult::target_drained, "r2", Outcome::refused, "r2 is drained"},
        Row{"witness", AskResult::target_witness, "w1", Outcome::refused,
            "w1 is a witness: it votes and never leads"},
        Row{"nobody_else", AskResult::no_candidate, "", Outcome::refused,
            "no other router can take over"},
        Row{"no_leader", AskResult::not_leader, "", Outcome::refused, "nobody leads at the moment"},
        Row{"too_late", AskResult::timed_out, "r2", Outcome::timed_out,
            "no successor has announced the address within 3 s"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hamr::daemon
