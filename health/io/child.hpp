// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

// A program in a process group of its own, with nothing of the agent's about it.
//
// The child shares our memory until it executes (as posix_spawn does it), so that no page of the
// agent is copied under its real-time thread. What posix_spawn cannot do is done here: another
// user, and the agent's OOM score left behind.

namespace hamr::health_io {

/// Whom to run as.
struct Account {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string name;
    std::string home;
};

/// Asks the system's user database, which may read files or talk to a directory service.
[[nodiscard]] Result<Account> find_account(const std::string& user);

struct Child {
    pid_t pid = -1;   ///< also the process group's id
    UniqueFd pidfd;   ///< readable once it has ended
    UniqueFd output;  ///< its standard output, non-blocking
    UniqueFd errors;  ///< its standard error, non-blocking

    /// SIGKILL to the whole group. Only while it has not been reaped: its id is its own till then.
    void kill_group() const;
};

/// `argv[0]` without a slash is looked up in the usual places. The error names the cause: "no such
/// file: /usr/lib/check".
[[nodiscard]] Result<Child> start_child(const std::vector<std::string>& argv,
                                        const std::optional<Account>& account);

/// How a child has ended.
struct Exit {
    bool known = false;  ///< false: somebody else has asked for it before
    bool signalled = false;
    int code = 0;  ///< or the signal's number
};

/// The end of a child that is known to have ended; nothing when it has not.
[[nodiscard]] std::optional<Exit> reap(int pidfd);

}  // namespace hamr::health_io
