// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>

// The one time of this program: CLOCK_BOOTTIME. It counts while the machine is suspended, is what
// the gate's BPF program reads (bpf_ktime_get_boot_ns), and never jumps. Pure libraries take `now`
// as an argument; only the shells call BootClock::now().

namespace hamr {

using Duration = std::chrono::nanoseconds;

struct BootClock {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;

    /// Reads CLOCK_BOOTTIME. Not for pure libraries.
    static time_point now() noexcept;
};

/// An instant on this host's CLOCK_BOOTTIME; its epoch is the host's boot.
using BootTime = BootClock::time_point;

/// "Long ago" and "never": ordinary arithmetic around them does not overflow.
inline constexpr BootTime long_ago{Duration{-(INT64_C(1) << 60)}};
inline constexpr BootTime never{Duration{INT64_C(1) << 60}};

/// Milliseconds with a fraction, for people, JSON and metrics.
[[nodiscard]] constexpr double to_ms(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace hamr
