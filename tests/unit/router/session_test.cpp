// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/session.hpp"

#include "tests/unit/router/lab_mariadb.hpp"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hamr::mysql {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr Duration patience = std::chrono::seconds(10);

class SessionTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_MARIADB();
        ASSERT_TRUE(lab::MariaDb::shared()->installed());
        lab::MariaDb::shared()->start();
        ASSERT_TRUE(lab::run_until(io_, [&] { return session_.connected() || !connect(); }));
    }

    bool connect() {
        bool over = false;
        session_.connect({lab::MariaDb::shared()->endpoint(), "hamr", "right"}, patience,
                         [&](const auto&) { over = true; });
        return lab::run_until(io_, [&] { return over; });
    }

    tl::expected<Rows, Failure> query(const std::string& sql, Duration timeout = patience) {
        std::optional<tl::expected<Rows, Failure>> answer;
        session_.query(sql, timeout, [&](auto got) { answer = std::move(got); });
        EXPECT_FALSE(answer) << "no callback from inside the call";
        EXPECT_TRUE(lab::run_until(io_, [&] { return answer.has_value(); }));
        return answer.value_or(tl::unexpected<Failure>(Failure{}));
    }

    boost::asio::io_context io_;
    Session session_{io_.get_executor()};
};

TEST_F(SessionTest, gives_rows_and_nulls) {
    const auto answer = query("SELECT 'x', NULL, '' UNION ALL SELECT 'y', 'z', NULL");
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_THAT(answer->rows, SizeIs(2));
    EXPECT_EQ(answer->rows[0][0], "x");
    EXPECT_EQ(answer->rows[0][1], std::nullopt);
    EXPECT_EQ(answer->rows[0][2], "");
}

TEST_F(SessionTest, a_statement_without_rows_is_fine) {
    const auto answer = query("SET @a = 1");
    ASSERT_TRUE(answer) << answer.error().text;
    EXPECT_THAT(answer->rows, SizeIs(0));
}

TEST_F(SessionTest, an_error_of_the_server_leaves_the_session_open) {
    const auto answer = query("SELECT rubbish FROM");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, FailureKind::server);
    EXPECT_EQ(answer.error().code, 1064u);
    EXPECT_TRUE(session_.connected());
    EXPECT_TRUE(query("SELECT 1"));
}

TEST_F(SessionTest, a_missing_privilege_is_access_denied) {
    const auto answer = query("SELECT * FROM mysql.global_priv");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, FailureKind::access_denied) << answer.error().text;
}

TEST_F(SessionTest, a_slow_answer_times_out_and_closes) {
    const auto answer = query("SELECT SLEEP(600)", std::chrono::milliseconds(20));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, FailureKind::timeout);
    EXPECT_EQ(answer.error().text, "timed out after 20 ms");
    EXPECT_FALSE(session_.connected());
    ASSERT_TRUE(connect());
    EXPECT_TRUE(query("SELECT 1"));
}

TEST_F(SessionTest, too_many_rows_and_too_long_rows_are_refused) {
    const auto rows = query(
        "SELECT 1 FROM information_schema.collations a, information_schema.collations b LIMIT "
        "5000");
    ASSERT_FALSE(rows);
    EXPECT_THAT(rows.error().text, HasSubstr("too many rows"));
    EXPECT_FALSE(session_.connected());
    ASSERT_TRUE(connect());
    EXPECT_FALSE(query("SELECT REPEAT('x', 3000000)"));
    EXPECT_FALSE(session_.connected());
    ASSERT_TRUE(connect());
}

TEST_F(SessionTest, closing_with_a_result_under_way_does_not_wait_for_it) {
    session_.query("SELECT SLEEP(600)", patience, [](const auto&) { FAIL(); });
    io_.restart();
    io_.run_for(std::chrono::milliseconds(5));
    session_.close();
    EXPECT_FALSE(session_.connected());
    io_.restart();
    io_.run_for(std::chrono::milliseconds(5));
}

}  // namespace
}  // namespace hamr::mysql
