// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/cli/arguments.hpp"

// The commands that take a database server out of service and back. Return exit codes.

namespace hamr::cli {

/// With --wait it stays until no connection goes through the server, or the time is over.
int run_backend_drain(const Invocation& invocation);
int run_backend_undrain(const Invocation& invocation);

}  // namespace hamr::cli
