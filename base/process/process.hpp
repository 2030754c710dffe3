// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

// Starts programs, without a shell, from a process that is not like others: real-time threads,
// locked memory, signals blocked, descriptors that nobody else may have.
//
// The child   has a session of its own, normal scheduling, nice 0, no blocked or ignored signals,
//             no protection from the kernel's memory killer (the agent may have some), umask 022, /
//             as its directory, no descriptors but 0, 1 and 2. It survives the agent.
// Cost        The child shares the agent's memory until exec (as vfork), so locked memory is not
//             copied and the pulse thread sees no copy-on-write faults. This call lasts until exec.

namespace hamr::process {

/// Whom to run as.
struct Account {
    std::string name;
    std::string home;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};

/// Asks the host's user database, which may block where that is remote.
[[nodiscard]] Result<Account> find_account(const std::string& user);

enum class Environment {
    agents,  ///< the agent's, without what systemd told the agent
    plain,   ///< PATH and LC_ALL=C: what a short command needs, the same on every host
};

struct SpawnSpec {
    std::vector<std::string> argv;   ///< argv[0] without a slash is searched for in PATH and sbin
    std::optional<Account> account;  ///< none: as the agent
    int input = -1;                  ///< for stdin; -1: /dev/null
    int output = -1;                 ///< for stdout; -1: /dev/null
    int errors = -1;                 ///< for stderr; -1: where `output` goes
    Environment environment = Environment::agents;
    /// Added to the environment, with HOME, USER and LOGNAME of the account.
    std::vector<std::pair<std::string, std::string>> variables;
};

struct Spawned {
    pid_t pid = -1;
    UniqueFd pidfd;
};

/// Errors are words for the operator: "no such file: /usr/sbin/haproxy". A child whose exec failed
/// is reaped here.
[[nodiscard]] Result<Spawned> spawn(const SpawnSpec& spec);

/// Where `program` is, as spawn() finds it.
[[nodiscard]] Result<std::string> find_program(const std::string& program);

/// How a process ended.
struct ProcessEnd {
    std::string how;  ///< "exited with code 1", "was killed by signal 9 (SIGKILL)"
    int code = -1;    ///< the exit code; -1 when a signal ended it, or when it is not known
    int signal = 0;   ///< what killed it
};

/// Of a pidfd of which has_ended() is true. A child is reaped; of others it is not known how.
[[nodiscard]] ProcessEnd reap(int pidfd);

/// "exited with code 1", "was killed by signal 9 (SIGKILL)"; `code` is siginfo's si_code (CLD_*).
[[nodiscard]] ProcessEnd end_in_words(int code, int status);
/// "SIGKILL".
[[nodiscard]] std::string signal_name(int number);

[[nodiscard]] UniqueFd open_pidfd(pid_t pid);
/// Whether it was delivered: false when the process is gone.
bool send_signal(int pidfd, int number);
/// Whether the process has ended (it may still be a zombie). To be asked before reap() by who was
/// woken by Asio: it gives a descriptor's events, now and then, to another one that was opened a
/// moment after the first was closed.
[[nodiscard]] bool has_ended(int pidfd);

}  // namespace hamr::process
