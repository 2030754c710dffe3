// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/io/process_tree.hpp"
#include "router/io/supervisor.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

// A supervisor with a small child: everything that it tells is kept, and whatever is still running
// at the end of a test is ended.

namespace hamr::router_io::testing {

using namespace std::chrono_literals;

class SupervisorTest : public ::testing::Test {
  protected:
    SupervisorTest() {
        std::string name = "/tmp/hamr-sup-XXXXXX";
        folder_ = ::mkdtemp(name.data());
        ::chmod(folder_.c_str(), 0755);
        config_.kind = router::ProviderKind::command;
        config_.stop_timeout = 2s;
        plan_.name = "router";
        plan_.stop = router::SendSignal{SIGTERM};
    }
    ~SupervisorTest() override {
        supervisor_.reset();
        (void)end_orphan(state_file(), 0ms);
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
    [[nodiscard]] std::string state_file() const { return path("router.state"); }

    /// `text` is a shell script; a router that runs for ever is "exec sleep 1000".
    void shell(const std::string& text) { plan_.argv = {"/bin/sh", "-c", text}; }

    void make() {
        Supervisor::Events events;
        events.changed = [this](const SupervisorStatus& status) { seen_.push_back(status); };
        events.crashed = [this](const std::string& reason) {
            crashed_at_ = BootClock::now();
            crashes_.push_back(reason);
        };
        events.output = [this](std::string_view line) { lines_.emplace_back(line); };
        supervisor_ = std::make_unique<Supervisor>(io_.get_executor(), config_, plan_, state_file(),
                                                   events, options_);
        const auto started = supervisor_->start();
        ASSERT_TRUE(started) << started.error().message();
    }
    void run() {
        make();
        supervisor_->want(true);
        ASSERT_TRUE(until([&] { return status().pid > 0; })) << status().reason;
    }

    /// Runs the loop until `done`; whether it came to be within the limit.
    bool until(const std::function<bool()>& done, Duration limit = 10s) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!done()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            io_.restart();
            io_.run_one_for(20ms);
        }
        return true;
    }
    bool until_state(RunState state, Duration limit = 10s) {
        return until([&] { return status().state == state; }, limit);
    }
    [[nodiscard]] SupervisorStatus status() const { return supervisor_->status(); }

    /// Stops politely, and waits.
    void stop() {
        bool done = false;
        supervisor_->stop([&] { done = true; });
        EXPECT_TRUE(until([&] { return done; }));
    }

    /// How many living processes have this word in their command line.
    static std::size_t count(const std::string& word) {
        std::size_t found = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
            std::ifstream file(entry.path() / "cmdline", std::ios::binary);
            const std::string text((std::istreambuf_iterator<char>(file)), {});
            if (text.find(word) != std::string::npos) ++found;
        }
        return found;
    }
    static bool lives(int pid) {
        const auto stat = read_stat(pid);
        return stat && !stat->dead();
    }

    boost::asio::io_context io_{1};
    std::string folder_;
    router::ProviderConfig config_;
    router::Plan plan_;
    SupervisorOptions options_;
    std::vector<SupervisorStatus> seen_;
    std::vector<std::string> crashes_;
    std::vector<std::string> lines_;
    BootTime crashed_at_ = long_ago;
    std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace hamr::router_io::testing
