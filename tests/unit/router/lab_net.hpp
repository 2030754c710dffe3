// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

// Network namespaces without names: they end with the descriptor that holds them, so that nothing
// is left behind however a test ends. Sockets and children made inside stay inside.

namespace hamr::lab {

class Namespace {
  public:
    Namespace() {
        const UniqueFd here = open_current();
        if (::unshare(CLONE_NEWNET) != 0) return;
        fd_ = open_current();
        run("ip link set lo up");
        ::setns(here.get(), CLONE_NEWNET);
    }

    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }

    /// For `ip link set … netns PATH`.
    [[nodiscard]] std::string path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
    }

    /// Runs `work` inside, on this thread.
    template <class Work>
    auto in(Work work) const {
        const Inside inside(fd_.get());
        return work();
    }

    /// A shell command inside; its exit code.
    int sh(const std::string& command) const {
        return in([&] { return run(command); });
    }

    static int run(const std::string& command) {
        const int status = std::system(command.c_str());
        return status < 0 ? -1 : WEXITSTATUS(status);
    }

  private:
    static UniqueFd open_current() {
        return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }

    struct Inside {
        explicit Inside(int fd) : before(open_current()) { ::setns(fd, CLONE_NEWNET); }
        ~Inside() { ::setns(before.get(), CLONE_NEWNET); }
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
        UniqueFd before;
    };

    UniqueFd fd_;
};

/// Runs handlers until `done` says so; false after `limit`.
template <class Done>
[[nodiscard]] bool run_until(boost::asio::io_context& io, Done done,
                             Duration limit = std::chrono::seconds(20)) {
    const BootTime end = BootClock::now() + limit;
    while (!done() && BootClock::now() < end) {
        io.restart();
        io.run_one_for(std::chrono::milliseconds(50));
    }
    return done();
}

/// A directory that goes away with its object.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = testing::TempDir() + "hamr-lab-XXXXXX";
        if (::mkdtemp(name.data()) != nullptr) path_ = name;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        if (!path_.empty()) Namespace::run("rm -rf '" + path_ + "'");
    }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace hamr::lab

#define HAMR_LAB_NEEDS_ROOT() \
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces"
