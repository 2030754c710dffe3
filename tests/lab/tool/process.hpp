// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <poll.h>

// What every command needs of its process: an orderly stop, real-time priority, the clock, and
// output as JSON lines.

namespace labtool {

/// Nanoseconds of CLOCK_BOOTTIME, the one time in all of labtool's output.
[[nodiscard]] std::int64_t now_ns();

/// SIGTERM and SIGINT make stopped() true; SIGPIPE is ignored.
void catch_stop_signals();
[[nodiscard]] bool stopped();

/// SCHED_FIFO and locked memory where permitted; otherwise nothing happens.
void become_realtime();

/// poll() until `deadline_ns`, at most 100 ms, so that a stop is never missed.
void poll_until(std::span<pollfd> fds, std::int64_t deadline_ns);

/// Prints one line and flushes it. A reader that has gone ends the program.
void print_line(std::string_view json);
void print_ready();

[[nodiscard]] std::string quoted(std::string_view text);
/// Milliseconds with three decimals.
[[nodiscard]] std::string milliseconds(std::int64_t ns);

}  // namespace labtool
