// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <spdlog/spdlog.h>

namespace hamr::daemon {

/// Log to standard error, one line per event, for the journal. Only the work loop logs.
void open_log();

}  // namespace hamr::daemon
