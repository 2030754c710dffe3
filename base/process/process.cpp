// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/process/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace hamr::process {

namespace {

/// What systemd tells its services about themselves is not for their children: a router that said
/// READY=1 would speak for the agent.
bool is_for_agent_only(std::string_view variable) {
    static constexpr std::array<std::string_view, 10> names = {
        "NOTIFY_SOCKET=",    "WATCHDOG_PID=",   "WATCHDOG_USEC=", "LISTEN_PID=",
        "LISTEN_FDS=",       "LISTEN_FDNAMES=", "INVOCATION_ID=", "JOURNAL_STREAM=",
        "SYSTEMD_EXEC_PID=", "HAMR_INSTANCE="};
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view name) { return variable.starts_with(name); });
}

constexpr std::string_view places = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

std::vector<std::string> make_environment(const SpawnSpec& spec) {
    auto added = spec.variables;
    if (spec.account) {
        added.emplace_back("HOME", spec.account->home);
        added.emplace_back("USER", spec.account->name);
        added.emplace_back("LOGNAME", spec.account->name);
    }
    const bool plain = spec.environment == Environment::plain;
    if (plain) added.emplace_back("LC_ALL", "C");
    std::vector<std::string> environment;
    bool has_path = false;
    for (char** each = plain ? nullptr : environ; each != nullptr && *each != nullptr; ++each) {
        const std::string_view variable = *each;
        const bool replaced = std::any_of(added.begin(), added.end(), [&](const auto& it) {
            return variable.starts_with(it.first + "=");
        });
        if (replaced || is_for_agent_only(variable)) continue;
        has_path = has_path || variable.starts_with("PATH=");
        environment.emplace_back(variable);
    }
    if (!has_path) environment.push_back("PATH=" + std::string(places));
    for (const auto& [name, value] : added) environment.push_back(name + "=" + value);
    return environment;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

/// What keeps the agent alive when memory is short must not keep a router that takes it all.
bool is_spared_when_memory_is_short() {
    const UniqueFd fd(::open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC));
    char first = '0';
    return fd && ::read(fd.get(), &first, 1) == 1 && first == '-';
}

enum class Step { none, user, exec };

/// What the child needs, made before it is there: it may neither allocate nor take a lock.
struct Plan {
    const char* program = nullptr;
    char* const* argv = nullptr;
    char* const* environment = nullptr;
    const Account* account = nullptr;
    int input = -1;
    int output = -1;
    int errors = -1;
    bool reset_oom = false;
    // Written by the child, which shares this memory.
    Step failed = Step::none;
    int error = 0;
};

/// Ignored signals would stay ignored after exec. The kernel's own numbers: the C library hides two
/// of them.
void forget_signals() {
    struct {
        void* handler = nullptr;  // SIG_DFL
        unsigned long flags = 0;
        void* restorer = nullptr;
        unsigned long mask = 0;
    } const standard;
    for (int number = 1; number <= 64; ++number) {
        ::syscall(SYS_rt_sigaction, number, &standard, nullptr, sizeof(standard.mask));
    }
    const unsigned long none = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof(none));
}

/// The C library's functions would try to change every thread of the agent: system calls only.
bool become(const Account& account) {
    return ::syscall(SYS_setgroups, account.groups.size(), account.groups.data()) == 0 &&
           ::syscall(SYS_setresgid, account.gid, account.gid, account.gid) == 0 &&
           ::syscall(SYS_setresuid, account.uid, account.uid, account.uid) == 0;
}

/// Between clone and exec, on a stack of its own in the agent's memory.
__attribute__((no_sanitize("address", "thread", "undefined"))) int child_main(void* argument) {
    Plan& plan = *static_cast<Plan*>(argument);
    ::setsid();
    const sched_param normal{};
    ::sched_setscheduler(0, SCHED_OTHER, &normal);
    ::setpriority(PRIO_PROCESS, 0, 0);
    ::umask(022);
    if (::chdir("/") != 0) ::_exit(127);
    if (plan.reset_oom) {
        const int score = ::open("/proc/self/oom_score_adj", O_WRONLY);
        if (score >= 0 && ::write(score, "0", 1) < 0) plan.reset_oom = false;
    }
    // All lie above 2: the agent's own 0, 1 and 2 are always open.
    ::dup2(plan.input, STDIN_FILENO);
    ::dup2(plan.output, STDOUT_FILENO);
    ::dup2(plan.errors, STDERR_FILENO);
    ::syscall(SYS_close_range, 3U, ~0U, 0U);
    if (plan.account != nullptr && !become(*plan.account)) {
        plan.error = errno;
        plan.failed = Step::user;
        ::_exit(127);
    }
    forget_signals();
    ::execve(plan.program, plan.argv, plan.environment);
    plan.error = errno;
    plan.failed = Step::exec;
    ::_exit(127);
}

Error explain(const Plan& plan, const SpawnSpec& spec) {
    const std::string program = plan.program;
    const std::error_code code(plan.error, std::system_category());
    const std::string user = spec.account ? spec.account->name : "";
    if (plan.failed == Step::user) return {"cannot become the user \"" + user + "\"", code};
    switch (plan.error) {
        case ENOENT:
            if (::access(plan.program, F_OK) != 0) return {"no such file: " + program, {}};
            return {program + " cannot be run: its interpreter or loader is missing", {}};
        case EACCES:
            return {"no permission to run " + program +
                        (user.empty() ? "" : " as the user \"" + user + "\""),
                    {}};
        case ENOEXEC:
            return {program + " is not a program that this host can run", {}};
        default:
            return {"run " + program, code};
    }
}

/// A descriptor above 2, whatever the agent's own 0, 1 and 2 are.
UniqueFd above_standard(int fd) {
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

/// clone() with every signal held back: a handler of the agent's must not run in the child.
pid_t clone_child(Plan& plan, int& pidfd) {
    constexpr std::size_t stack_size = 64 * 1024;
    const auto stack = std::make_unique<std::byte[]>(stack_size);
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::clone(child_main, stack.get() + stack_size,
                              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return pid;
}

}  // namespace

Result<Account> find_account(const std::string& name) {
    std::vector<char> buffer(16 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
        if (error == 0) return fail("there is no user \"" + name + "\" on this host");
        return fail_errno("look for the user \"" + name + "\"", error);
    }
    Account account{name, entry.pw_dir, entry.pw_uid, entry.pw_gid, std::vector<gid_t>(64)};
    int count = static_cast<int>(account.groups.size());
    while (::getgrouplist(name.c_str(), account.gid, account.groups.data(), &count) < 0) {
        if (static_cast<std::size_t>(count) <= account.groups.size() || count > NGROUPS_MAX) {
            return fail("the groups of the user \"" + name + "\" cannot be told");
        }
        account.groups.resize(static_cast<std::size_t>(count));
    }
    account.groups.resize(static_cast<std::size_t>(count));
    return account;
}

Result<std::string> find_program(const std::string& program) {
    if (program.empty()) return fail("no program is named");
    if (program.find('/') != std::string::npos) return program;
    const char* const own = ::getenv("PATH");
    std::string path = own == nullptr ? "" : own;
    path += ":" + std::string(places);
    std::string_view rest = path;
    while (!rest.empty()) {
        const std::size_t end = rest.find(':');
        const std::string_view folder = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (!folder.starts_with('/')) continue;
        std::string candidate = std::string(folder) + "/" + program;
        struct stat info {};
        const bool file = ::stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode);
        if (file && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return fail("no such program: " + program + " (neither in PATH nor in /usr/sbin)");
}

Result<Spawned> spawn(const SpawnSpec& spec) {
    const auto program = find_program(spec.argv.empty() ? "" : spec.argv.front());
    if (!program) return tl::unexpected(program.error());
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd input = above_standard(spec.input >= 0 ? spec.input : null.get());
    const UniqueFd output = above_standard(spec.output >= 0 ? spec.output : null.get());
    const UniqueFd errors = above_standard(spec.errors >= 0 ? spec.errors : output.get());
    if (!input || !output || !errors) return fail_errno("descriptors for " + *program, errno);

    std::vector<std::string> argv = spec.argv;
    std::vector<std::string> environment = make_environment(spec);
    const std::vector<char*> argv_pointers = pointers(argv);
    const std::vector<char*> environment_pointers = pointers(environment);
    Plan plan;
    plan.program = program->c_str();
    plan.argv = argv_pointers.data();
    plan.environment = environment_pointers.data();
    plan.account = spec.account ? &*spec.account : nullptr;
    plan.input = input.get();
    plan.output = output.get();
    plan.errors = errors.get();
    plan.reset_oom = is_spared_when_memory_is_short();

    int pidfd = -1;
    const pid_t pid = clone_child(plan, pidfd);
    if (pid < 0) return fail_errno("start " + *program, errno);
    Spawned spawned{pid, UniqueFd(pidfd)};
    if (plan.failed == Step::none) return spawned;
    (void)reap(pidfd);
    return tl::unexpected<Error>(explain(plan, spec));
}

std::string signal_name(int number) {
    const char* const name = ::sigabbrev_np(number);
    return name == nullptr ? "signal " + std::to_string(number) : "SIG" + std::string(name);
}

ProcessEnd end_in_words(int code, int status) {
    if (code == CLD_EXITED) return {"exited with code " + std::to_string(status), status, 0};
    const std::string core = code == CLD_DUMPED ? ", core dumped" : "";
    return {
        "was killed by signal " + std::to_string(status) + " (" + signal_name(status) + core + ")",
        -1, status};
}

ProcessEnd reap(int pidfd) {
    siginfo_t info{};
    int rc = 0;
    do {
        rc = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        return {"ended (how is not known: an earlier life of the agent had started it)", -1, 0};
    }
    return end_in_words(info.si_code, info.si_status);
}

UniqueFd open_pidfd(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool send_signal(int pidfd, int number) {
    return ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0;
}

bool has_ended(int pidfd) {
    pollfd end{pidfd, POLLIN, 0};
    return ::poll(&end, 1, 0) > 0;
}

}  // namespace hamr::process
