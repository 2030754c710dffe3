// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/process/process.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

// A short command with its output: base/process, and two pipes.

namespace hamr::health_io {

struct Child {
    pid_t pid = -1;   ///< also the process group's id
    UniqueFd pidfd;   ///< readable once it has ended
    UniqueFd output;  ///< its standard output, non-blocking
    UniqueFd errors;  ///< its standard error, non-blocking

    /// SIGKILL to the whole group. Only while it has not been reaped: its id is its own till then.
    void kill_group() const;
};

/// Errors are those of process::spawn(): "no such file: /usr/lib/check".
[[nodiscard]] Result<Child> start_child(const std::vector<std::string>& argv,
                                        const std::optional<process::Account>& account);

}  // namespace hamr::health_io
