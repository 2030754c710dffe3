// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/environment.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <malloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace hamr::daemon {

namespace {

/// Above ordinary work, below what administrators give to watchdogs and interrupt threads.
constexpr int pulse_priority = 40;

/// Pulse, work, netlink.
constexpr int threads = 3;

}  // namespace

void lock_memory(std::vector<control::Warning>& warnings) {
    // A heap for each thread: with a common one the pulse loop would wait for an ordinary thread
    // that was preempted while it held the heap's lock. And what was once touched is not given
    // back.
    ::mallopt(M_ARENA_MAX, threads);
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
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

void lower_priority() {
    const sched_param parameter{};
    (void)::sched_setscheduler(0, SCHED_OTHER, &parameter);
}

Result<> make_run_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return fail_errno("the run directory " + path, errno);
}

Result<UniqueFd> lock_namespace() {
    static constexpr std::string_view name("\0hamrd", 6);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("a Unix socket", errno);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        if (errno == EADDRINUSE) {
            return fail("another hamrd is running in this network namespace; stop it first");
        }
        return fail_errno("the lock of this network namespace", errno);
    }
    return fd;
}

void ignore_sigpipe() {
    ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace hamr::daemon
