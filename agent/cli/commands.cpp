// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/commands.hpp"

#include "agent/cli/ask.hpp"
#include "agent/cli/backend.hpp"
#include "agent/cli/drain.hpp"
#include "agent/cli/exit_codes.hpp"
#include "agent/cli/show.hpp"
#include "agent/cli/terminal.hpp"
#include "agent/config/config.hpp"
#include "agent/config/keys.hpp"
#include "agent/control/client.hpp"
#include "agent/control/json.hpp"
#include "agent/control/version.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

namespace hamr::cli {

namespace {

int print_json(const std::string& body) {
    print(body + "\n");
    return finish_output();
}

int run_status(const Invocation& invocation) {
    const Asked asked = ask(invocation, "GET", "/v1/status");
    if (asked.failed) return *asked.failed;
    if (invocation.has("--json")) return print_json(asked.body);
    const auto status = control::parse_status(asked.body);
    if (!status) return not_understood(status.error());
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    print(show_status(*status, now, Paint(wants_colours())));
    return finish_output();
}

int run_history(const Invocation& invocation) {
    const Asked asked = ask(invocation, "GET", "/v1/history");
    if (asked.failed) return *asked.failed;
    if (invocation.has("--json")) return print_json(asked.body);
    const auto history = control::parse_history(asked.body);
    if (!history) return not_understood(history.error());
    print(show_history(*history, Paint(wants_colours())));
    return finish_output();
}

int run_failover(const Invocation& invocation) {
    const control::FailoverRequest request{invocation.value("--to"), invocation.value("--group"),
                                           invocation.has("--force")};
    const Asked asked = ask(invocation, "POST", "/v1/failover", control::to_json(request),
                            std::chrono::seconds(20));
    if (asked.failed) return *asked.failed;
    const auto answer = control::parse_failover_answer(asked.body);
    if (!answer) return not_understood(answer.error());
    print(show_failover(*answer));
    return finish_output();
}

std::string summary(const config::Config& config) {
    const auto routers = std::count_if(
        config.nodes.begin(), config.nodes.end(),
        [](const config::Node& node) { return node.role == config::NodeRole::router; });
    const auto witnesses = static_cast<std::ptrdiff_t>(config.nodes.size()) - routers;
    const auto count = [](std::ptrdiff_t number, const char* one, const char* many) {
        return std::to_string(number) + " " + (number == 1 ? one : many);
    };
    std::string text = "cluster " + config.cluster + ", " + count(routers, "router", "routers");
    if (witnesses > 0) text += ", " + count(witnesses, "witness", "witnesses");
    text += ", " + count(static_cast<std::ptrdiff_t>(config.groups.size()), "group", "groups");
    text += ", quorum " + std::string(config::to_string(config.effective_mode()));
    return text + ", router " + std::string(config.router.kind_name());
}

int run_check(const Invocation& invocation) {
    const std::string& file = invocation.operands.front();
    try {
        const config::Loaded loaded = config::load(file);
        for (const config::Problem& warning : loaded.warnings) {
            std::fprintf(stderr, "warning: %s\n", printable(warning.to_string()).c_str());
        }
        print(file + ": good: " + summary(loaded.config) + "\n");
        return finish_output();
    } catch (const config::ConfigError& error) {
        for (const config::Problem& problem : error.problems()) {
            std::fprintf(stderr, "%s\n", printable(problem.to_string()).c_str());
        }
        const int cause = error.cause().value();
        return cause == EACCES || cause == EPERM ? exit_no_permission : exit_config;
    }
}

int run_keygen(const Invocation&) {
    print(config::to_line(config::generate_key()) + "\n");
    return finish_output();
}

int run_version(const Invocation& invocation) {
    print("hamr " + std::string(control::version()) + "\n");
    const std::string socket = invocation.value("--socket").value_or(control::default_socket);
    const auto response = control::request({socket, std::chrono::seconds(1)}, "GET", "/v1/version");
    if (response && response->http == 200) {
        if (const auto agent = control::parse_version(response->body)) {
            print("hamrd " + printable(*agent) + " (running)\n");
        }
    }
    return finish_output();
}

const Option json_option{"--json", "", "print JSON instead of text"};

const Command commands[] = {
    {"status",
     "",
     "who leads, since when and why; nodes, router, warnings",
     "Shows what the agent of this host knows: whether all is well, or what is not, why,\n"
     "and what to do about it; for every group its address, who leads it, since when and\n"
     "why; every node with its state and demotion (0 is fully healthy); the router with\n"
     "its process, backends and health checks; and dropped frames. Times are UTC.",
     {json_option},
     run_status},
    {"failover",
     "",
     "hand leadership to another node",
     "Moves leadership to NODE, or to the best peer, for all groups or only for GROUP.\n"
     "Works from any router node and returns when the successor has announced the\n"
     "address. A target that is worse than the leader is refused without --force; one\n"
     "that leads already is a success.",
     {{"--to", "NODE", "who shall lead (default: the best peer)"},
      {"--group", "GROUP", "only this group (default: all)"},
      {"--force", "", "even if NODE is worse than the leader"}},
     run_failover},
    {"drain",
     "",
     "take this node out of service, with care",
     "Moves leadership away from this node first; then its router takes nothing new and\n"
     "finishes the connections that it has, until none is left or TIME is over, when the\n"
     "rest is cut. Stays until then and shows how it goes; Ctrl-C ends the watching only.\n"
     "The node stays drained, also over restarts, until `hamr undrain`. Refused, and still\n"
     "ordered, when no other node as healthy can lead: then it happens as soon as\n"
     "one can.",
     {{"--timeout", "TIME",
       "how long connections may finish, as in 30s (default:\n"
       "                  drain_timeout of hamr.yaml, 60s)"},
      {"--no-wait", "", "return once leadership has moved"}},
     run_drain},
    {"undrain",
     "",
     "let this node take part again",
     "Ends a drain: the router serves again, and this node leads when it is its turn.\n"
     "Leadership does not come back by itself, unless `failback` says so.",
     {},
     run_undrain},
    {"backend drain",
     "ADDRESS",
     "give a server no new connections, on every router host",
     "The embedded router gives nothing new to the server at ADDRESS, as `hamr status`\n"
     "shows it; its connections go on. Works on any router node, holds on all of them, and\n"
     "over failovers, restarts and reboots, until `hamr backend undrain`. Names the nodes\n"
     "that have not confirmed it within 2 s, and routes that lead nowhere now. The port may\n"
     "be left out where one backend has the address. `hamr status` shows how many\n"
     "connections are left; with --wait this command stays until none is.",
     {{"--wait", "[=TIME]",
       "until no connection is left, at most TIME, as in 5m\n"
       "                  (default: 60s)"},
      json_option},
     run_backend_drain},
    {"backend undrain",
     "ADDRESS",
     "let it be used again",
     "Ends `hamr backend drain`: the server at ADDRESS is given new connections by its role\n"
     "again, on every router host.",
     {json_option},
     run_backend_undrain},
    {"reload",
     "",
     "take over what has changed in the configuration files",
     "Reads hamr.yaml, keys and passwords again. What has changed is told and taken over\n"
     "by a restart in place, which moves nothing: nodes, quorum, heartbeat, addresses,\n"
     "backends, checks. Do it on one host after the other. A file with a mistake is\n"
     "refused, with every place; so is a step that could make two leaders: a second node\n"
     "more or less before every node has taken over the first. A router that is supervised\n"
     "reloads its own configuration, too, in its own way and after judging it where it\n"
     "can; one that has no such way is restarted.",
     {{"--force", "",
       "for a node that is gone for good, and when a moment without a\n"
       "                  leader does not matter. Should that node run after all, with\n"
       "                  another list of nodes, two leaders are possible"}},
     run_reload},
    {"restart",
     "",
     "restart the agent in place, as after an upgrade; nothing moves",
     "The agent executes its program again, which a newer package may have replaced: same\n"
     "process, same term, same address. It reads hamr.yaml and rehearses the start first;\n"
     "what speaks against it is told, and nothing has happened then. A leader whose lease\n"
     "is shorter than that takes hands over first. Nodes, groups, addresses, quorum and\n"
     "heartbeat are not changed in this way: `hamr reload` does that.",
     {},
     run_restart},
    {"history",
     "",
     "every move of leadership, with its reason",
     "Lists the moves of leadership, and what happened to the address, as this host's\n"
     "agent remembers them, oldest first. Times are UTC.",
     {json_option},
     run_history},
    {"check",
     "FILE",
     "judge a configuration file, without an agent",
     "Reads FILE and prints every problem as FILE:LINE:COLUMN: message. It judges the\n"
     "file alone, on any machine: keys, passwords, interfaces and addresses are not\n"
     "looked at. Exit code 0 when the file is good, 78 when not. Warnings do not change\n"
     "the exit code.",
     {},
     run_check},
    {"keygen",
     "",
     "make a new key line for the key file",
     "Prints one line, KEYID BASE64, with 32 random bytes. Make a key file with\n\n"
     "  (umask 077; hamr keygen > /etc/hamr/hamr.key)\n\n"
     "and copy it to every node. To change keys, append the new line to the file\n"
     "on every node first; then make it the first line on every node; then remove the\n"
     "old one. After each step: `hamr reload` on every node.",
     {},
     run_keygen},
    {"version",
     "",
     "versions of this program and of the agent",
     "Prints the version of this program, and that of the agent when it can be reached.",
     {},
     run_version},
};

}  // namespace

std::span<const Command> all_commands() {
    return commands;
}

}  // namespace hamr::cli
