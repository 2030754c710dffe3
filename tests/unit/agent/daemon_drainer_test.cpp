// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/drainer.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hamr::daemon {
namespace {

using State = control::DrainStatus::State;

class DrainerTest : public testing::Test {
  protected:
    DrainerTest() : drainer(io, file, std::chrono::seconds{60}, hands()) {}

    Drainer::Hands hands() {
        Drainer::Hands hands;
        hands.tell = [this](bool drained) { told.push_back(drained); };
        hands.finish = [this](BootTime) { ++finishes; };
        hands.connections = [this] { return connections; };
        hands.finished = [this] { return connections == 0; };
        hands.resume = [this] { ++resumes; };
        hands.log = [](const std::string&) {};
        hands.trouble = [this](const std::string& what) { trouble = what; };
        return hands;
    }

    void drain(Duration timeout = std::chrono::seconds{60}) {
        drainer.drain(timeout, [this](const control::Answer& given) { answer = given; });
    }

    void undrain() {
        drainer.undrain([this](const control::Answer& given) { answer = given; });
    }

    /// Runs the loop until that state, for five seconds at most.
    bool reaches(State state) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5};
        while (drainer.status().state != state) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            io.restart();
            io.run_for(std::chrono::milliseconds{20});
        }
        return true;
    }

    boost::asio::io_context io;
    test::TempDir dir;
    std::string file = dir.path("state/shop.router1.drained");
    std::vector<bool> told;
    int finishes = 0;
    int resumes = 0;
    std::uint64_t connections = 0;
    std::string trouble;
    std::optional<control::Answer> answer;
    Drainer drainer;
};

TEST_F(DrainerTest, a_leader_moves_leadership_before_its_router_finishes) {
    drainer.leads(true);
    connections = 3;
    drain();
    EXPECT_EQ(std::vector<bool>{true}, told);
    EXPECT_EQ(State::moving, drainer.status().state);
    EXPECT_EQ(0, finishes);
    EXPECT_FALSE(answer);
    drainer.leads(false);
    EXPECT_EQ(State::finishing, drainer.status().state);
    EXPECT_EQ(1, finishes);
    ASSERT_TRUE(answer);
    EXPECT_EQ(control::Outcome::done, answer->outcome);
    EXPECT_EQ(3U, drainer.status().connections);
    EXPECT_GT(drainer.status().left_ms.value_or(0), 0);
    connections = 0;
    EXPECT_TRUE(reaches(State::drained));
}

TEST_F(DrainerTest, a_follower_finishes_at_once) {
    drain();
    EXPECT_EQ(State::finishing, drainer.status().state);
    EXPECT_TRUE(reaches(State::drained));
}

TEST_F(DrainerTest, what_does_not_finish_in_time_is_counted) {
    connections = 2;
    drain(std::chrono::milliseconds{1});
    EXPECT_TRUE(reaches(State::drained));
    EXPECT_NE(std::string::npos, drainer.status().note.find("2 connections did not finish"));
}

TEST_F(DrainerTest, a_leader_that_nobody_can_follow_says_so_and_serves_on) {
    drainer.leads(true);
    drain();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!answer && std::chrono::steady_clock::now() < deadline) {
        io.restart();
        io.run_for(std::chrono::milliseconds{50});
    }
    ASSERT_TRUE(answer);
    EXPECT_EQ(control::Outcome::refused, answer->outcome);
    EXPECT_EQ(State::moving, drainer.status().state);
    EXPECT_EQ(0, finishes);
    drainer.leads(false);
    EXPECT_EQ(1, finishes);
}

TEST_F(DrainerTest, a_drained_node_that_has_to_lead_serves_again) {
    drain();
    ASSERT_TRUE(reaches(State::drained));
    drainer.leads(true);
    EXPECT_EQ(1, resumes);
    EXPECT_EQ(State::moving, drainer.status().state);
}

TEST_F(DrainerTest, the_file_outlives_the_agent_until_undrain) {
    drain();
    EXPECT_TRUE(Drainer::recorded(file));
    Drainer next(io, file, std::chrono::seconds{60}, hands());
    next.start(Drainer::recorded(file));
    EXPECT_EQ(State::drained, next.status().state);
    next.undrain([](const control::Answer&) {});
    EXPECT_FALSE(Drainer::recorded(file));
    EXPECT_EQ(State::none, next.status().state);
}

TEST_F(DrainerTest, undrain_ends_a_drain_under_way) {
    drainer.leads(true);
    drain();
    drain();
    undrain();
    EXPECT_EQ(State::none, drainer.status().state);
    EXPECT_FALSE(told.back());
    EXPECT_EQ(1, resumes);
    EXPECT_EQ(control::Outcome::done, answer->outcome);
}

TEST_F(DrainerTest, undrain_of_a_node_that_is_not_drained_is_no_error) {
    undrain();
    ASSERT_TRUE(answer);
    EXPECT_EQ(control::Outcome::done, answer->outcome);
    EXPECT_EQ(0, resumes);
}

TEST(Drainer, a_directory_that_cannot_be_written_is_told) {
    boost::asio::io_context io;
    std::string trouble;
    Drainer::Hands hands;
    hands.tell = [](bool) {};
    hands.finish = [](BootTime) {};
    hands.connections = [] { return 0; };
    hands.finished = [] { return true; };
    hands.log = [](const std::string&) {};
    hands.trouble = [&](const std::string& what) { trouble = what; };
    Drainer drainer(io, "/proc/hamr/x.drained", std::chrono::seconds{1}, hands);
    drainer.drain(std::chrono::seconds{1}, [](const control::Answer&) {});
    EXPECT_NE(std::string::npos, trouble.find("/proc/hamr/x.drained"));
    drainer.stop();
}

}  // namespace
}  // namespace hamr::daemon
