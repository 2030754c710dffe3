// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/process.hpp"

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include <sched.h>

// When the machine itself stood still: a sleeper of a high real-time priority on one processor
// notes every time that it wakes much too late. On a virtual machine that is the host's doing, or a
// part of the kernel that cannot be preempted; no program on this processor could have acted then.

namespace labtool {

namespace {

constexpr int priority = 60;  // above everything that is measured
constexpr std::size_t most_stalls = 10'000;

struct Stall {
    std::int64_t at_ns;
    std::int64_t length_ns;
};

bool become_sleeper(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    sched_param parameters{};
    parameters.sched_priority = priority;
    return sched_setaffinity(0, sizeof set, &set) == 0 &&
           sched_setscheduler(0, SCHED_FIFO, &parameters) == 0;
}

}  // namespace

int stalls(Args args) {
    const int cpu = static_cast<int>(args.integer("--cpu", 0));
    const std::int64_t interval = args.integer("--interval-us", 500) * 1000;
    const std::int64_t threshold = args.integer("--threshold-us", 2000) * 1000;
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    const bool follow = args.has("--follow");
    args.refuse_unknown();
    if (!become_sleeper(cpu)) {
        std::perror("labtool: a real-time sleeper on that processor");
        return 1;
    }
    print_ready();
    std::vector<Stall> seen;
    std::int64_t last = now_ns();
    const std::int64_t end =
        duration > 0 ? last + duration : std::numeric_limits<std::int64_t>::max();
    while (!stopped() && last < end) {
        poll_until({}, last + interval);
        const std::int64_t now = now_ns();
        const std::int64_t late = now - last - interval;
        if (late > threshold && seen.size() < most_stalls) seen.push_back({last, late});
        if (late > threshold && follow) {
            print_line("{\"event\":\"stall\",\"at_ns\":" + std::to_string(last) +
                       ",\"length_ns\":" + std::to_string(late) + '}');
        }
        last = now;
    }
    std::string out = "{\"event\":\"result\",\"cpu\":" + std::to_string(cpu) + ",\"stalls\":[";
    for (const Stall& stall : seen) {
        if (out.back() == '}') out += ',';
        out += "{\"at_ns\":" + std::to_string(stall.at_ns) +
               ",\"length_ns\":" + std::to_string(stall.length_ns) + '}';
    }
    print_line(out + "]}");
    return 0;
}

}  // namespace labtool
