// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/runner.hpp"

#include "tests/unit/health/asking.hpp"

#include <algorithm>

namespace hamr::health_io {
namespace {

using health::Check;
using health::CheckState;
using health::Transition;
using testing::HasSubstr;

class RunnerTest : public AskingTest {
  protected:
    static health::CheckSpec spec(const std::string& name, health::ProbeSpec probe) {
        health::CheckSpec spec;
        spec.name = name;
        spec.probe = std::move(probe);
        spec.interval = milliseconds(10);
        spec.jitter = milliseconds(2);
        spec.timeout = milliseconds(2000);
        return spec;
    }
};

TEST_F(RunnerTest, probes_at_once_and_again_and_tells_of_each) {
    Stranger stranger(io_, [](Taken&) {});
    int told = 0;
    std::vector<std::string> turns;
    Runner runner(io_.get_executor(), spec("port", health::TcpProbe{stranger.endpoint()}), 1,
                  {[&](const Check&, const Transition* transition) {
                      ++told;
                      if (transition != nullptr) turns.push_back(transition->reason);
                  }});
    EXPECT_FALSE(runner.running());
    runner.start();
    runner.start();
    EXPECT_TRUE(runner.running());
    ASSERT_TRUE(run_until([&] { return told == 5; }));
    EXPECT_EQ(runner.check().state(), CheckState::up);
    stranger.stop_listening();
    ASSERT_TRUE(run_until([&] { return runner.check().state() == CheckState::down; }));
    ASSERT_EQ(turns.size(), 2u);
    EXPECT_THAT(turns[0], HasSubstr("port succeeded: 127.0.0.1:"));
    EXPECT_THAT(turns[1], HasSubstr("port failed 2 times in a row: connection refused by"));
}

TEST_F(RunnerTest, stop_forgets_and_ends_the_probe_under_way) {
    Stranger silent(io_, [](Taken&) {});
    health::MysqlProbe what;
    what.target = silent.endpoint();
    int told = 0;
    Runner runner(io_.get_executor(), spec("mysql", what), 1,
                  {[&](const Check&, const Transition*) { ++told; }});
    runner.start();
    ASSERT_TRUE(run_until([&] { return silent.connections() == 1; }));
    runner.stop();
    EXPECT_FALSE(runner.running());
    io_.restart();
    io_.run_for(milliseconds(30));
    EXPECT_EQ(told, 0);
    EXPECT_EQ(silent.connections(), 1u);
    runner.start();
    ASSERT_TRUE(run_until([&] { return silent.connections() == 2; })) << "it begins anew at once";
    EXPECT_EQ(runner.check().state(), CheckState::unknown);
}

TEST_F(RunnerTest, stopped_between_two_probes_it_stays_silent) {
    Stranger stranger(io_, [](Taken&) {});
    int told = 0;
    Runner runner(io_.get_executor(), spec("port", health::TcpProbe{stranger.endpoint()}), 1,
                  {[&](const Check&, const Transition*) { ++told; }});
    runner.start();
    ASSERT_TRUE(run_until([&] { return told == 1; }));
    runner.stop();
    EXPECT_EQ(runner.check().state(), CheckState::unknown);
    io_.restart();
    io_.run_for(milliseconds(40));
    EXPECT_EQ(told, 1);
}

TEST_F(RunnerTest, may_be_stopped_or_destroyed_from_its_own_callback) {
    Stranger stranger(io_, [](Taken&) {});
    const auto what = spec("port", health::TcpProbe{stranger.endpoint()});
    int told = 0;
    std::unique_ptr<Runner> stops;
    stops = std::make_unique<Runner>(io_.get_executor(), what, 1,
                                     Runner::Events{[&](const Check&, const Transition*) {
                                         ++told;
                                         stops->stop();
                                     }});
    std::unique_ptr<Runner> dies;
    dies = std::make_unique<Runner>(io_.get_executor(), what, 1,
                                    Runner::Events{[&](const Check&, const Transition*) {
                                        ++told;
                                        dies.reset();
                                    }});
    stops->start();
    dies->start();
    ASSERT_TRUE(run_until([&] { return told == 2; }));
    io_.restart();
    io_.run_for(milliseconds(40));
    EXPECT_EQ(told, 2);
}

TEST_F(RunnerTest, a_check_that_hangs_delays_no_other) {
    Stranger good(io_, [](Taken&) {});
    Stranger silent(io_, [](Taken&) {});
    std::vector<std::unique_ptr<Runner>> runners;
    std::vector<int> told(50);
    for (std::size_t i = 0; i < told.size(); ++i) {
        health::MysqlProbe hangs;
        hangs.target = silent.endpoint();
        hangs.user = "hamr";
        auto what = i == 7 ? spec("hangs", hangs) : spec("port", health::TcpProbe{good.endpoint()});
        what.timeout = std::chrono::minutes(1);
        runners.push_back(std::make_unique<Runner>(
            io_.get_executor(), what, i,
            Runner::Events{[&told, i](const Check&, const Transition*) { ++told[i]; }}));
        runners.back()->start();
    }
    EXPECT_TRUE(run_until([&] {
        return std::all_of(told.begin(), told.end(),
                           [&](const int& count) { return count >= 20 || &count == &told[7]; });
    }));
    EXPECT_EQ(told[7], 0);
}

TEST_F(RunnerTest, at_most_one_probe_of_a_runner_is_under_way) {
    const auto open = std::make_shared<std::size_t>(0);
    std::size_t most = 0;
    Stranger silent(io_, [&](Taken& taken) {
        most = std::max(most, ++*open);
        taken.socket.async_wait(boost::asio::ip::tcp::socket::wait_read, [open](auto) { --*open; });
    });
    health::MysqlProbe what;
    what.target = silent.endpoint();
    auto slow = spec("mysql", what);
    slow.timeout = milliseconds(30);
    int told = 0;
    Runner runner(io_.get_executor(), slow, 1, {[&](const Check& check, const Transition*) {
                      ++told;
                      EXPECT_THAT(check.text(), HasSubstr("never greeted within 30 ms"));
                  }});
    runner.start();
    ASSERT_TRUE(run_until([&] { return told == 5; }));
    EXPECT_LE(most, 2u) << "the next, and the one before until its end is read";
    EXPECT_EQ(runner.check().state(), CheckState::down);
}

}  // namespace
}  // namespace hamr::health_io
