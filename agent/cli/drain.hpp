// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/arguments.hpp"

// The commands that take this node out of service and back. Return exit codes.

namespace hamr::cli {

/// Orders the drain and, without --no-wait, stays until it has come to an end.
int run_drain(const Invocation& invocation);
int run_undrain(const Invocation& invocation);
int run_reload(const Invocation& invocation);
/// Returns once the new program answers.
int run_restart(const Invocation& invocation);

}  // namespace hamr::cli
