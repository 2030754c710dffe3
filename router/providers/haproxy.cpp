// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/providers/haproxy_file.hpp"
#include "router/providers/kinds.hpp"

#include <algorithm>
#include <utility>

// HAProxy. Tried with Debian 12's 2.6.12.
//
// -W -db  a master in the foreground, whatever `daemon` or `pidfile` the configuration asks for: it
//         takes SIGUSR2 (new worker with the new configuration, the old one finishes), SIGUSR1 (no
//         new connections, ends with the last one, code 0) and SIGTERM (ends). When its worker
//         crashes the master ends, so that one pid tells everything. A reload with a broken
//         configuration keeps the old worker; the judge asks first all the same. In the first
//         5 ms after its ports are open the master loses signals.
// -dR     without SO_REUSEPORT, which would let a second HAProxy on the same ports start and take
//         half of the connections, unnoticed. A reload hands the listening sockets over: no
//         connection was refused in three reloads under load.
// -c      judges the configuration.

namespace hamr::router {

Result<> plan_haproxy(const ProviderConfig& config, std::string_view file, Plan& plan) {
    for (const std::string& argument : config.arguments) {
        if (argument == "-D") {
            return fail("arguments: -D sends HAProxy into the background: leave it out");
        }
    }
    const std::string program = program_of(config, "/usr/sbin/haproxy");
    plan.argv = {program, "-W", "-db", "-dR", "-f", config_path(config)};
    plan.judge = {program, "-c", "-f", config_path(config)};
    plan.reload = SendSignal{signal_usr2};
    plan.finish = SendSignal{signal_usr1};
    plan.ends_when_finished = true;
    plan.stop = SendSignal{signal_term};

    HaproxyFile read = read_haproxy(file);
    for (Listener& listener : read.listeners) add_listener(plan, std::move(listener));
    plan.stats_socket = std::move(read.stats_socket);
    warn_without_listener(config, "frontend or listen section with a TCP port", plan);
    if (plan.stats_socket.empty()) {
        plan.warnings.push_back(
            config_path(config) +
            " has no stats socket: write `stats socket /run/haproxy/admin.sock mode 660 level "
            "admin` into its global section, or its own commands cannot be given");
    }
    if (read.survives_its_worker) {
        plan.warnings.push_back(config_path(config) +
                                " says `master-worker no-exit-on-failure`: a crash of the worker "
                                "will not be seen at once; take it out");
    }
    return {};
}

}  // namespace hamr::router
