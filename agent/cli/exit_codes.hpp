// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace hamr::cli {

/// What both programs end with. Scripts rely on these: they never change their meaning.
enum ExitCode : int {
    exit_done = 0,
    exit_failed = 1,          // refused or failed; the reason is on stderr
    exit_usage = 2,           // the command line makes no sense
    exit_unreachable = 69,    // the agent cannot be reached
    exit_kernel = 71,         // the kernel lacks something (named)
    exit_no_permission = 77,  // run as root
    exit_config = 78,         // configuration error; every problem is on stderr
};

}  // namespace hamr::cli
