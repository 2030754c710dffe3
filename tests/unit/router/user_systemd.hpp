// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/unique_fd.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// A systemd of the test's own: a user manager in a mount namespace with its own cgroup, on hosts
// that systemd did not boot as well. It ends, with everything that it started, when the test does,
// however the test ends: its keeper waits for the end of a pipe.

namespace hamr::router_io::testing {

class UserSystemd {
  public:
    /// `folder` must exist; `units` lie in folder/systemd/user by then.
    explicit UserSystemd(std::string folder) : folder_(std::move(folder)) {}
    UserSystemd(const UserSystemd&) = delete;
    UserSystemd& operator=(const UserSystemd&) = delete;
    ~UserSystemd() { stop(); }

    void unit(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(folder_ + "/systemd/user");
        std::ofstream(folder_ + "/systemd/user/" + name) << text;
    }
    void mask(const std::string& name) const {
        std::filesystem::create_directories(folder_ + "/systemd/user");
        std::filesystem::create_symlink("/dev/null", folder_ + "/systemd/user/" + name);
    }

    /// False where it cannot run.
    bool start() {
        if (::geteuid() != 0) return false;
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
        const UniqueFd reading(ends[0]);
        hold_.reset(ends[1]);
        const std::string script = keeper();
        keeper_ = ::fork();
        if (keeper_ == 0) {
            ::dup2(reading.get(), STDIN_FILENO);
            const int null = ::open("/dev/null", O_RDWR);
            ::dup2(null, STDOUT_FILENO);
            ::dup2(null, STDERR_FILENO);
            ::execlp("unshare", "unshare", "-m", "sh", "-c", script.c_str(), nullptr);
            ::_exit(127);
        }
        for (int i = 0; i < 500; ++i) {
            struct stat info {};
            if (::stat((folder_ + "/systemd/private").c_str(), &info) == 0) return true;
            if (::waitpid(keeper_, nullptr, WNOHANG) == keeper_) {
                keeper_ = -1;
                return false;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return false;
    }

    void stop() {
        hold_.reset();
        if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
        keeper_ = -1;
    }

    [[nodiscard]] std::string address() const {
        return "unix:path=" + folder_ + "/systemd/private";
    }
    int control(const std::string& words) const {
        const std::string command = "XDG_RUNTIME_DIR=" + folder_ + " systemctl --user " + words +
                                    " >/dev/null 2>&1 </dev/null";
        return std::system(command.c_str());
    }

  private:
    [[nodiscard]] std::string keeper() const {
        return "exec 3<&0; group=/sys/fs/cgroup/hamr-test-$$\n"
               "mount -t tmpfs none /run/systemd && mkdir /run/systemd/system || exit 1\n"
               "mount -t cgroup2 none /sys/fs/cgroup && mkdir $group || exit 1\n"
               "(echo 0 >$group/cgroup.procs; XDG_RUNTIME_DIR=" +
               folder_ +
               " exec /lib/systemd/systemd --user 3<&-) & manager=$!\n"
               "cat <&3 >/dev/null &\n"
               "reader=$!\n"
               "while kill -0 $reader 2>/dev/null && kill -0 $manager 2>/dev/null; do sleep 0.05; "
               "done\n"
               "echo 1 >$group/cgroup.kill; kill -9 $manager $reader 2>/dev/null\n"
               "for i in 1 2 3 4 5 6 7 8 9 10; do\n"
               "  find $group -depth -type d -exec rmdir {} + 2>/dev/null\n"
               "  [ -d $group ] || break; sleep 0.05\n"
               "done\n";
    }

    std::string folder_;
    UniqueFd hold_;
    pid_t keeper_ = -1;
};

}  // namespace hamr::router_io::testing
