// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/process.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sched.h>
#include <sys/mman.h>

namespace labtool {

namespace {

volatile std::sig_atomic_t stop_requested = 0;

void on_stop(int) {
    stop_requested = 1;
}

}  // namespace

std::int64_t now_ns() {
    return hamr::BootClock::now().time_since_epoch().count();
}

void catch_stop_signals() {
    struct sigaction action {};
    action.sa_handler = on_stop;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

bool stopped() {
    return stop_requested != 0;
}

void become_realtime() {
    sched_param parameters{};
    parameters.sched_priority = 40;
    static_cast<void>(sched_setscheduler(0, SCHED_FIFO, &parameters));
    static_cast<void>(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
}

void poll_until(std::span<pollfd> fds, std::int64_t deadline_ns) {
    const std::int64_t left = std::clamp<std::int64_t>(deadline_ns - now_ns(), 0, 100'000'000);
    const timespec timeout{0, static_cast<long>(left)};
    static_cast<void>(ppoll(fds.data(), fds.size(), &timeout, nullptr));
}

void print_line(std::string_view json) {
    const bool written = std::fwrite(json.data(), 1, json.size(), stdout) == json.size() &&
                         std::fputc('\n', stdout) != EOF && std::fflush(stdout) == 0;
    if (!written) std::exit(1);
}

void print_ready() {
    print_line(R"({"event":"ready"})");
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += ' ';
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string milliseconds(std::int64_t ns) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.3f", static_cast<double>(ns) / 1e6);
    return text.data();
}

}  // namespace labtool
