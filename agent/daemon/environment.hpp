// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <string>
#include <vector>

// What the process asks of the machine before it begins: memory that stays, priority, files.

namespace hamr::daemon {

/// Locks the memory that is in use, page by page as it is touched (MCL_ONFAULT), and gives each
/// thread a heap of its own, so that the pulse loop waits neither for a page nor for another
/// thread. Not permitted: a warning.
void lock_memory(std::vector<control::Warning>& warnings);

/// Real-time priority (SCHED_FIFO) for the calling thread. Not permitted: a warning.
void raise_priority(std::vector<control::Warning>& warnings);

/// Back to ordinary scheduling, for the calling thread.
void lower_priority();

/// Makes the run directory (0755) when it is absent.
[[nodiscard]] Result<> make_run_directory(const std::string& path);

/// One agent per network namespace: two would take each other's gate off. The lock is an abstract
/// Unix socket, so it belongs to the namespace and goes with the process, however that ends.
[[nodiscard]] Result<UniqueFd> lock_namespace();

/// Ordinary writing to a closed pipe must not end the agent.
void ignore_sigpipe();

}  // namespace hamr::daemon
