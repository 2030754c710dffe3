// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

namespace hamr::daemon {

/// The command line of hamrd.
struct Options {
    std::string config;
    std::optional<std::string> node;
    std::string socket;
    std::string state;  ///< the directory of what survives a reboot
    bool cleanup = false;
    bool keep_router = false;  ///< with cleanup: the next agent adopts it
    /// Read everything, start nothing, and say how long it took since then (CLOCK_BOOTTIME, ns).
    std::optional<std::string> rehearse;
    bool new_gate = false;  ///< with rehearse: the gate is loaded, too
};

struct ParsedOptions {
    Options options;
    bool done = false;  ///< help, version or an error has been printed
    int code = 0;       ///< then, what to exit with
};

[[nodiscard]] ParsedOptions parse_options(int argc, char** argv);

}  // namespace hamr::daemon
