// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/kinds.hpp"

// Any program that routes: it must stay in the foreground, end at SIGTERM, and re-read its
// configuration at SIGHUP unless there is a command for that.

namespace hamr::router {

Result<> plan_command(const ProviderConfig& config, std::string_view /*file*/, Plan& plan) {
    if (config.command.empty() || config.command.front().empty()) {
        return fail(
            "a router of kind command needs `command`: write the program and its arguments "
            "as a list, such as command: [/usr/local/bin/router, --foreground]");
    }
    plan.argv = config.command;
    const std::string& program = plan.argv.front();
    plan.name = program.substr(program.rfind('/') + 1);
    if (plan.name.empty()) {
        return fail("command: '" + program + "' is a directory: write the program's path");
    }
    if (config.reload_command.empty()) {
        plan.reload = SendSignal{signal_hup};
    } else {
        plan.reload = RunCommand{config.reload_command};
    }
    plan.stop = SendSignal{signal_term};
    return {};
}

}  // namespace hamr::router
