// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pulse_watch.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

#include <unistd.h>

namespace hamr::daemon {

namespace {

constexpr Duration shortest_period = std::chrono::milliseconds{1};

bool bind_to(pid_t thread, int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    return ::sched_setaffinity(thread, sizeof set, &set) == 0;
}

/// The next one that is allowed, or the same when there is no other.
int another(const cpu_set_t& allowed, int cpu) {
    for (int step = 1; step < CPU_SETSIZE; ++step) {
        const int candidate = (cpu + step) % CPU_SETSIZE;
        if (CPU_ISSET(static_cast<std::size_t>(candidate), &allowed)) return candidate;
    }
    return cpu;
}

}  // namespace

std::unique_ptr<PulseWatch> PulseWatch::start(Duration interval) {
    std::unique_ptr<PulseWatch> watch(new PulseWatch);
    watch->watched_ = ::gettid();
    watch->there_ = ::sched_getcpu();
    // Late by that much, and found after that much more: a fraction of what a lease can spare.
    watch->period_ = std::max(shortest_period, interval / 5);
    const bool known = ::sched_getaffinity(0, sizeof watch->before_, &watch->before_) == 0;
    if (!known || watch->there_ < 0 || ::sched_getscheduler(0) != SCHED_FIFO) return nullptr;
    watch->here_ = another(watch->before_, watch->there_);
    if (watch->here_ == watch->there_ || !bind_to(0, watch->there_)) return nullptr;
    // It inherits the priority.
    watch->thread_ = std::thread([raw = watch.get()] { raw->run(); });
    return watch;
}

void PulseWatch::release() {
    if (!thread_.joinable()) return;
    stop_.store(true);
    thread_.join();
    (void)::sched_setaffinity(0, sizeof before_, &before_);
}

void PulseWatch::run() {
    if (!bind_to(0, here_)) return;
    const timespec pause{
        .tv_sec = std::chrono::duration_cast<std::chrono::seconds>(period_).count(),
        .tv_nsec = (period_ % std::chrono::seconds{1}).count()};
    while (!stop_.load()) {
        (void)::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
        std::int64_t expected = expected_.load();
        if (BootClock::now() - period_ / 2 <= BootTime{Duration{expected}}) continue;
        // Once: what has been moved will tell of itself. And not if it has done so by now.
        const std::int64_t nothing = never.time_since_epoch().count();
        if (expected_.compare_exchange_strong(expected, nothing)) change_places();
    }
}

void PulseWatch::change_places() {
    // It is this thread that runs, so this processor lets others in. A waiting thread is moved by
    // the caller, without the help of the processor on which it waits.
    if (!bind_to(watched_, here_)) return;
    moves_.fetch_add(1);
    std::swap(here_, there_);
    (void)bind_to(0, here_);
}

}  // namespace hamr::daemon
