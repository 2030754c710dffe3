// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/schedule.hpp"

#include "base/assert.hpp"

#include <array>

namespace hamr::vip {

namespace {

using std::chrono::milliseconds;

constexpr std::array<Duration, 5> burst{milliseconds{0}, milliseconds{5}, milliseconds{20},
                                        milliseconds{1000}, milliseconds{5000}};

}  // namespace

AnnounceSchedule::AnnounceSchedule(Duration refresh) : refresh_(refresh) {
    HAMR_ASSERT(refresh > Duration::zero());
}

void AnnounceSchedule::start(BootTime now) {
    started_ = now;
    next_ = now;
    step_ = 0;
}

void AnnounceSchedule::stop() {
    next_ = never;
}

bool AnnounceSchedule::due(BootTime now) {
    if (now < next_) return false;
    while (step_ < burst.size() && started_ + burst[step_] <= now) ++step_;
    next_ = step_ < burst.size() ? started_ + burst[step_] : now + refresh_;
    return true;
}

}  // namespace hamr::vip
