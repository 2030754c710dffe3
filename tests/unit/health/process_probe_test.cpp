// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/health/asking.hpp"

#include <csignal>

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace hamr::health_io {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

/// A copy of `sleep` under a name that nobody else has, running.
class NamedProcess {
  public:
    explicit NamedProcess(std::string name)
        : name_(std::move(name)), path_(testing::TempDir() + name_) {
        std::ofstream(path_, std::ios::binary) << std::ifstream("/bin/sleep").rdbuf();
        ::chmod(path_.c_str(), 0755);
        std::string time = "300";
        std::array<char*, 3> argv{path_.data(), time.data(), nullptr};
        ::posix_spawn(&pid_, path_.c_str(), nullptr, nullptr, argv.data(), environ);
    }
    NamedProcess(const NamedProcess&) = delete;
    NamedProcess& operator=(const NamedProcess&) = delete;
    ~NamedProcess() {
        kill();
        ::waitpid(pid_, nullptr, 0);
        ::unlink(path_.c_str());
    }
    /// It stays a zombie until this object goes.
    void kill() const {
        ::kill(pid_, SIGKILL);
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string pid() const { return std::to_string(pid_); }

  private:
    std::string name_;
    std::string path_;
    pid_t pid_ = -1;
};

class ProcessProbeTest : public AskingTest {
  protected:
    ProcessProbeTest()
        : file_(testing::TempDir() + "hamr-" + std::to_string(::getpid()) + ".pid") {}
    ~ProcessProbeTest() override { ::unlink(file_.c_str()); }

    void write(const std::string& text) const { std::ofstream(file_) << text; }
    static std::string unique(const std::string& begin) {
        return begin + std::to_string(::getpid());
    }

    std::string file_;
};

TEST_F(ProcessProbeTest, is_found_by_name_until_it_ends) {
    const NamedProcess process(unique("hp"));
    const auto probe = make_probe(io_.get_executor(), health::ProcessProbe{process.name(), ""});
    for (int i = 0; i < 2; ++i) {
        EXPECT_THAT(ask(*probe), IsUp(process.name() + " runs as process " + process.pid()));
    }
    process.kill();
    EXPECT_THAT(ask(*probe), IsDown("no process is called " + process.name())) << "a zombie";
    EXPECT_FALSE(ask(*probe).ok);
}

TEST_F(ProcessProbeTest, long_names_are_compared_as_far_as_the_kernel_keeps_them) {
    const NamedProcess process(unique("longnameof15byte"));
    EXPECT_TRUE(ask(health::ProcessProbe{process.name(), ""}).ok);
}

TEST_F(ProcessProbeTest, a_pid_file_must_name_what_runs) {
    const NamedProcess process(unique("hp"));
    const health::ProcessProbe by_file{"", file_};
    const health::ProcessProbe by_both{process.name(), file_};
    EXPECT_THAT(ask(by_file), IsDown("there is no pid file " + file_));
    write(process.pid() + "\n");
    EXPECT_THAT(ask(by_file), IsUp(HasSubstr("runs (" + process.name() + ")")));
    EXPECT_TRUE(ask(by_both).ok);
    write(std::to_string(::getppid()) + "\n");
    EXPECT_TRUE(ask(by_file).ok);
    EXPECT_THAT(ask(by_both), IsDown(EndsWith("not " + process.name()))) << "a number used again";
    for (const char* nonsense : {"", "abc", "-1", "0", "12x", "99999999999999999999"}) {
        write(nonsense);
        EXPECT_THAT(ask(by_file), IsDown(file_ + " holds no process id")) << nonsense;
    }
    write(process.pid());
    process.kill();
    EXPECT_THAT(ask(by_file), IsDown(EndsWith("does not run")));
}

TEST_F(ProcessProbeTest, a_fifo_in_the_place_of_a_pid_file_stops_nobody) {
    ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
    EXPECT_FALSE(ask(health::ProcessProbe{"", file_}).ok);
}

}  // namespace
}  // namespace hamr::health_io
