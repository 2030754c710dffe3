// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pulse_watch.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include <gtest/gtest.h>
#include <sched.h>

namespace hamr::daemon {
namespace {

using std::chrono::milliseconds;

/// Longer than any wait here, shorter than the second in which the kernel throttles real time.
constexpr Duration patience = milliseconds{700};

bool set_priority(int priority) {
    sched_param parameter{};
    parameter.sched_priority = priority;
    return ::sched_setscheduler(0, priority > 0 ? SCHED_FIFO : SCHED_OTHER, &parameter) == 0;
}

std::size_t processors() {
    cpu_set_t set;
    return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::size_t>(CPU_COUNT(&set))
                                                         : 0;
}

/// Keeps the processor of the calling thread to itself until told to stop, or for `patience`. It
/// stands in for a stretch of the kernel that nothing preempts.
class Hog {
  public:
    /// From the moment that it runs, the calling thread does not: it goes on expecting to.
    Hog(int cpu, PulseWatch& watch) : thread_([this, cpu] { run(cpu); }) {
        while (!running_.load()) {
            watch.expect(BootClock::now() + milliseconds{1});
            std::this_thread::yield();
        }
    }
    ~Hog() { thread_.join(); }
    void stop() { stop_.store(true); }
    [[nodiscard]] bool timed_out() const { return timed_out_.load(); }

  private:
    void run(int cpu) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(cpu), &set);
        (void)::sched_setaffinity(0, sizeof set, &set);
        (void)set_priority(60);
        const BootTime end = BootClock::now() + patience;
        running_.store(true);
        while (!stop_.load()) {
            if (BootClock::now() > end) {
                timed_out_.store(true);
                return;
            }
        }
    }

    std::atomic<bool> running_{false};
    std::atomic<bool> stop_{false};
    std::atomic<bool> timed_out_{false};
    std::thread thread_;
};

class PulseWatchTest : public ::testing::Test {
  protected:
    void SetUp() override {
        if (processors() < 2) GTEST_SKIP() << "needs two processors";
        if (!set_priority(40)) GTEST_SKIP() << "needs the right to real-time priority";
    }
    void TearDown() override { (void)set_priority(0); }
};

TEST_F(PulseWatchTest, a_thread_whose_processor_is_held_is_moved_to_another) {
    const auto watch = PulseWatch::start(milliseconds{10});
    ASSERT_TRUE(watch);
    EXPECT_EQ(processors(), 1U);
    Hog hog(::sched_getcpu(), *watch);
    hog.stop();
    EXPECT_FALSE(hog.timed_out()) << "this thread has not run while its processor was held";
    EXPECT_GE(watch->moves(), 1U);
}

TEST_F(PulseWatchTest, one_that_expects_nothing_is_left_alone) {
    const auto watch = PulseWatch::start(milliseconds{5});
    ASSERT_TRUE(watch);
    watch->expect(never);
    std::this_thread::sleep_for(milliseconds{30});
    EXPECT_EQ(watch->moves(), 0U);
}

TEST_F(PulseWatchTest, its_processors_are_given_back) {
    const std::size_t before = processors();
    const auto watch = PulseWatch::start(milliseconds{10});
    ASSERT_TRUE(watch);
    watch->release();
    EXPECT_EQ(processors(), before);
}

TEST_F(PulseWatchTest, without_real_time_priority_there_is_none) {
    ASSERT_TRUE(set_priority(0));
    const std::size_t before = processors();
    EXPECT_FALSE(PulseWatch::start(milliseconds{10}));
    EXPECT_EQ(processors(), before);
}

}  // namespace
}  // namespace hamr::daemon
