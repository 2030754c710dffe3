// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/reexec.hpp"

#include "base/unique_fd.hpp"
#include "election/archive.hpp"
#include "election/snapshot.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace hamr::daemon {

namespace {

constexpr const char* life_variable = "HAMR_LIFE_FD";
/// To be raised whenever the lists below change.
constexpr std::uint32_t life_layout = 2;
/// The most that ordinary scheduling has. Real-time priority would be quicker by little, and would
/// keep a processor from all that the host does meanwhile, its flows among it.
constexpr int start_nice = -20;
constexpr std::size_t largest_life = 4 << 20;

struct KeptSource {
    health::Source source;

    template <class Archive>
    void archive(Archive& kept) {
        kept(source.name, source.demotion, source.reason, source.begun_at, source.urgent,
             source.live);
    }
};

/// A life as it lies in the memfd.
struct Kept {
    Life life;
    pid_t pid = 0;

    template <class Archive>
    void archive(Archive& kept) {
        std::vector<KeptSource> sources;
        for (health::Source& source : life.health) sources.push_back({source});
        std::vector<std::uint8_t> announced(life.announced.begin(), life.announced.end());
        std::vector<std::uint8_t> election;
        for (const std::byte byte : life.election) {
            election.push_back(std::to_integer<std::uint8_t>(byte));
        }
        vip::GateHandles& gate = life.gate;
        kept(pid, life.at, life.groups, life.addresses, life.terms, life.led_since, life.gated,
             gate.groups, gate.counters, gate.ether, gate.bare, gate.build, life.gate_groups,
             life.reload_router, life.lock, life.nice, sources, announced, election);
        life.health.clear();
        for (KeptSource& each : sources) life.health.push_back(std::move(each.source));
        life.announced.assign(announced.begin(), announced.end());
        life.election.clear();
        for (const std::uint8_t byte : election) life.election.push_back(std::byte{byte});
    }
};

std::vector<int> descriptors(const Life& life) {
    return {life.gate.groups, life.gate.counters, life.gate.ether, life.gate.bare, life.lock};
}

void keep_over_exec(int fd, bool keep) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/// Nothing goes over by accident: Asio opens sockets without CLOEXEC, and one that went over would
/// hold its port, or a client's connection, until the next program ends. Before Linux 5.11 there is
/// only what each descriptor says itself.
void keep_nothing_over_exec() {
    (void)::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

sigset_t our_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, signal);
    return set;
}

Result<UniqueFd> write_life(const Life& life) {
    Saver saver;
    Kept kept{life, ::getpid()};
    saver(kept);
    const auto sealed = election::seal_snapshot(life_layout, saver.view());
    UniqueFd fd(::memfd_create("hamr-life", MFD_CLOEXEC));
    if (!fd) return fail_errno("a memfd for the election's state", errno);
    std::size_t written = 0;
    while (written < sealed.size()) {
        const ssize_t count = ::write(fd.get(), sealed.data() + written, sealed.size() - written);
        if (count < 0) return fail_errno("write the election's state", errno);
        written += static_cast<std::size_t>(count);
    }
    return fd;
}

/// All of it, once: it is empty afterwards.
std::vector<std::byte> read_once(int fd) {
    struct stat info {};
    std::vector<std::byte> bytes;
    if (::fstat(fd, &info) != 0 || info.st_size <= 0) return bytes;
    bytes.resize(std::min(largest_life, static_cast<std::size_t>(info.st_size)));
    const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), 0);
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    if (::ftruncate(fd, 0) != 0) bytes.clear();
    return bytes;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::string life_version() {
    return std::to_string(life_layout) + "." + std::to_string(election::snapshot_version) + "." +
           std::to_string(vip::Gate::build());
}

Result<std::string> next_program() {
    std::array<char, 4096> buffer{};
    const ssize_t length = ::readlink("/proc/self/exe", buffer.data(), buffer.size() - 1);
    if (length < 0) return fail_errno("the path of this program", errno);
    std::string path(buffer.data(), static_cast<std::size_t>(length));
    // Replaced by a newer one, as packages do it: the kernel knows it by its old name.
    static constexpr std::string_view replaced = " (deleted)";
    if (path.ends_with(replaced)) path.resize(path.size() - replaced.size());
    if (::access(path.c_str(), X_OK) != 0) return fail_errno("no program at " + path, errno);
    return path;
}

Error execute(const std::string& program, const std::vector<std::string>& arguments, Life* life) {
    UniqueFd state;
    std::vector<std::string> environment;
    for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
    std::vector<int> kept;
    if (life != nullptr) {
        life->nice = ::getpriority(PRIO_PROCESS, 0);
        auto written = write_life(*life);
        if (!written) return written.error();
        state = std::move(*written);
        environment.push_back(std::string(life_variable) + "=" + std::to_string(state.get()));
        kept = descriptors(*life);
        kept.push_back(state.get());
    }
    std::vector<std::string> texts = arguments;
    const std::vector<char*> argv = pointers(texts);
    const std::vector<char*> envp = pointers(environment);
    const sigset_t ours = our_signals();
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &ours, &before);
    keep_nothing_over_exec();
    for (const int fd : kept) keep_over_exec(fd, true);
    const int policy = ::sched_getscheduler(0);
    sched_param parameter{};
    ::sched_getparam(0, &parameter);
    const sched_param ordinary{};
    (void)::sched_setscheduler(0, SCHED_OTHER, &ordinary);
    if (life != nullptr) (void)::setpriority(PRIO_PROCESS, 0, start_nice);
    ::execve(program.c_str(), argv.data(), envp.data());
    const int error = errno;
    if (life != nullptr) be_as_nice(life->nice);
    (void)::sched_setscheduler(0, policy, &parameter);
    for (const int fd : kept) keep_over_exec(fd, false);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return fail_errno("execute " + program, error).value();
}

std::optional<Life> inherit_life() {
    const char* text = std::getenv(life_variable);
    if (text == nullptr) return std::nullopt;
    const auto fd = number<int>(text);
    ::unsetenv(life_variable);
    if (!fd || *fd < 3) return std::nullopt;
    const UniqueFd state(*fd);
    const std::vector<std::byte> sealed = read_once(state.get());
    const auto payload = election::open_snapshot(life_layout, sealed);
    if (!payload) return std::nullopt;
    Kept kept;
    Loader loader(*payload);
    loader(kept);
    // A descriptor of another process means nothing here; a child must not take itself for us.
    if (!loader.at_end() || kept.pid != ::getpid()) return std::nullopt;
    for (const int each : descriptors(kept.life)) keep_over_exec(each, false);
    return std::move(kept.life);
}

void hear_signals() {
    const sigset_t ours = our_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
}

void be_as_nice(int nice) {
    (void)::setpriority(PRIO_PROCESS, 0, nice);
}

void reap_children() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

std::string rehearsed_line(std::string_view begun_ns) {
    const auto begun = number<Duration::rep>(begun_ns);
    const Duration took =
        begun ? BootClock::now() - BootTime{Duration{*begun}} : Duration{std::chrono::seconds{3}};
    return "rehearsed " + std::to_string(took.count()) + " " + life_version();
}

Result<Rehearsal> parse_rehearsal(const std::string& line) {
    std::istringstream words(line);
    std::string first;
    Duration::rep took = 0;
    Rehearsal rehearsal;
    words >> first >> took >> rehearsal.life;
    if (!words || first != "rehearsed" || took < 0) {
        return fail("the new program does not know how to restart in place");
    }
    rehearsal.took = Duration{took};
    rehearsal.fits = rehearsal.life == life_version();
    return rehearsal;
}

}  // namespace hamr::daemon
