// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/environment.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace hamr::daemon {

namespace {

/// Above ordinary work, below what administrators give to watchdogs and interrupt threads.
constexpr int pulse_priority = 40;

}  // namespace

void lock_memory(std::vector<control::Warning>& warnings) {
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return;
    warnings.push_back({std::string("memory is not locked: ") + std::strerror(errno) +
                            "; a machine that swaps delays heartbeats",
                        "give hamrd CAP_IPC_LOCK"});
}

void raise_priority(std::vector<control::Warning>& warnings) {
    sched_param parameter{};
    parameter.sched_priority = pulse_priority;
    if (::sched_setscheduler(0, SCHED_FIFO, &parameter) == 0) return;
    warnings.push_back({std::string("no real-time priority: ") + std::strerror(errno) +
                            "; a busy machine delays heartbeats",
                        "give hamrd CAP_SYS_NICE"});
}

Result<> make_run_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return fail_errno("the run directory " + path, errno);
}

void ignore_sigpipe() {
    ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace hamr::daemon
