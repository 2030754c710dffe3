// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/child.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hamr::health_io {

namespace {

constexpr std::string_view places = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t stack_bytes = 64 * 1024;

/// What the child needs, prepared before it exists: it may call nothing that allocates or locks.
struct Orders {
    const char* path = nullptr;
    char* const* argv = nullptr;
    char* const* environment = nullptr;
    int null = -1;
    int output = -1;
    int errors = -1;
    const Account* account = nullptr;
    /// What went wrong, told through the memory that both share.
    int error = 0;
    const char* step = "";
};

bool become(const Account& account) {
    // The bare system calls: the library's would ask the agent's other threads to change as well.
    return ::syscall(SYS_setgroups, account.groups.size(), account.groups.data()) == 0 &&
           ::syscall(SYS_setresgid, account.gid, account.gid, account.gid) == 0 &&
           ::syscall(SYS_setresuid, account.uid, account.uid, account.uid) == 0;
}

void leave_our_scheduling() {
    sched_param ordinary{};
    ::sched_setscheduler(0, SCHED_OTHER, &ordinary);
    ::setpriority(PRIO_PROCESS, 0, 0);
    const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score < 0) return;
    if (::write(score, "0", 1) < 0) errno = 0;  // not allowed: then it stays as it is
    ::close(score);
}

int child_main(void* raw) {
    Orders& orders = *static_cast<Orders*>(raw);
    const auto give_up = [&orders](const char* step) {
        orders.error = errno;
        orders.step = step;
        return 127;
    };
    if (::setpgid(0, 0) != 0) return give_up("setpgid");
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    leave_our_scheduling();
    if (::dup2(orders.null, STDIN_FILENO) < 0 || ::dup2(orders.output, STDOUT_FILENO) < 0 ||
        ::dup2(orders.errors, STDERR_FILENO) < 0) {
        return give_up("dup2");
    }
    ::syscall(SYS_close_range, 3U, ~0U, 0U);
    ::umask(022);
    if (::chdir("/") != 0) return give_up("chdir /");
    if (orders.account != nullptr && !become(*orders.account)) return give_up("change the user");
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(orders.path, orders.argv, orders.environment);
    return give_up("execute");
}

std::string look_up(const std::string& program) {
    if (program.find('/') != std::string::npos) return program;
    for (std::size_t from = 0; from < places.size();) {
        const std::size_t to = std::min(places.find(':', from), places.size());
        const std::string path = std::string(places.substr(from, to - from)) + "/" + program;
        if (::access(path.c_str(), X_OK) == 0) return path;
        from = to + 1;
    }
    return program;
}

Result<> make_pipe(UniqueFd& ours, UniqueFd& theirs) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe", errno);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
    // Ours alone: a program may choke on a standard output that does not block.
    if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("fcntl", errno);
    return {};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (std::string& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

std::string why(const Orders& orders, const std::string& program) {
    if (std::string_view(orders.step) != "execute") {
        return "cannot start " + program + ": " + orders.step + ": " + std::strerror(orders.error);
    }
    switch (orders.error) {
        case ENOENT:
            // Also what the kernel says when the script's interpreter is missing.
            return (::access(orders.path, F_OK) == 0 ? "no interpreter for: " : "no such file: ") +
                   program;
        case EACCES:
            return "not executable: " + program;
        case ENOEXEC:
            return "not a program (no #! line?): " + program;
        default:
            return "cannot execute " + program + ": " + std::strerror(orders.error);
    }
}

/// Starts the child with every signal blocked, so that none of our handlers runs in it.
pid_t launch(Orders& orders, int& pidfd) {
    const auto stack = std::make_unique<std::byte[]>(stack_bytes);
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::clone(child_main, stack.get() + stack_bytes,
                              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &orders, &pidfd);
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return pid;
}

}  // namespace

Result<Account> find_account(const std::string& user) {
    std::vector<char> memory(16 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    const int error = ::getpwnam_r(user.c_str(), &entry, memory.data(), memory.size(), &found);
    if (error != 0) return fail_errno("look up the user " + user, error);
    if (found == nullptr) return fail("there is no user " + user);
    Account account{entry.pw_uid, entry.pw_gid, {}, user, entry.pw_dir};
    int count = 64;
    account.groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(user.c_str(), entry.pw_gid, account.groups.data(), &count) < 0) {
        account.groups.resize(static_cast<std::size_t>(count));
        if (::getgrouplist(user.c_str(), entry.pw_gid, account.groups.data(), &count) < 0) {
            return fail("the groups of the user " + user + " cannot be told");
        }
    }
    account.groups.resize(static_cast<std::size_t>(count));
    return account;
}

void Child::kill_group() const {
    // A child that has not come to setpgid() yet is not to be seen: clone() returns after execve().
    if (pid > 0) ::kill(-pid, SIGKILL);
}

Result<Child> start_child(const std::vector<std::string>& argv,
                          const std::optional<Account>& account) {
    if (argv.empty()) return fail("no command is given");
    std::vector<std::string> words = argv;
    const std::string path = look_up(argv.front());
    std::vector<std::string> variables{"PATH=" + std::string(places), "LC_ALL=C"};
    if (account) {
        variables.push_back("USER=" + account->name);
        variables.push_back("HOME=" + account->home);
    }
    const std::vector<char*> word_pointers = pointers(words);
    const std::vector<char*> variable_pointers = pointers(variables);

    Child child;
    UniqueFd output;
    UniqueFd errors;
    if (auto made = make_pipe(child.output, output); !made) return tl::unexpected(made.error());
    if (auto made = make_pipe(child.errors, errors); !made) return tl::unexpected(made.error());
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return fail_errno("open /dev/null", errno);

    Orders orders;
    orders.path = path.c_str();
    orders.argv = word_pointers.data();
    orders.environment = variable_pointers.data();
    orders.null = null.get();
    orders.output = output.get();
    orders.errors = errors.get();
    orders.account = account ? &*account : nullptr;
    int pidfd = -1;
    const pid_t pid = launch(orders, pidfd);
    if (pid < 0) return fail_errno("start " + argv.front(), errno);
    child.pid = pid;
    child.pidfd.reset(pidfd);
    if (orders.error == 0) return child;
    // It has ended already, with nothing else of its group.
    siginfo_t info{};
    ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED);
    return fail(why(orders, argv.front()));
}

std::optional<Exit> reap(int pidfd) {
    siginfo_t info{};
    const int done = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                              WEXITED | WNOHANG);
    if (done != 0) return Exit{};
    if (info.si_pid == 0) return std::nullopt;
    return Exit{true, info.si_code != CLD_EXITED, info.si_status};
}

}  // namespace hamr::health_io
