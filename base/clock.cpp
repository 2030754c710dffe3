// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/clock.hpp"

#include <ctime>

namespace hamr {

BootTime BootClock::now() noexcept {
    timespec value{};
    ::clock_gettime(CLOCK_BOOTTIME, &value);
    return BootTime{std::chrono::seconds{value.tv_sec} + Duration{value.tv_nsec}};
}

}  // namespace hamr
