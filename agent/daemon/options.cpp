// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/options.hpp"

#include "agent/cli/exit_codes.hpp"
#include "agent/control/version.hpp"

#include <array>
#include <cstdio>

#include <getopt.h>

namespace hamr::daemon {

namespace {

constexpr const char* help =
    "usage: hamrd [--config FILE] [--node NAME] [--socket PATH] [--state DIR]\n"
    "       hamrd --cleanup [--keep-router] [--config FILE] [--socket PATH]\n"
    "\n"
    "The agent of one host: elects a leader with its peers, holds the floating address\n"
    "while it leads, and routes what arrives there. Talk to it with `hamr`.\n"
    "\n"
    "  --config FILE   the cluster's configuration (default %s)\n"
    "  --node NAME     which of its nodes this host is (default: the one with an address\n"
    "                  of this host)\n"
    "  --socket PATH   where `hamr` finds the agent (default %s);\n"
    "                  history and original settings are kept in its directory\n"
    "  --state DIR     where it is kept that this node is drained (default %s)\n"
    "  --cleanup       take away what a dead agent left (addresses, rules, settings, gate,\n"
    "                  a supervised router) and exit\n"
    "  --keep-router   with --cleanup: leave the router to the next agent, which adopts it\n"
    "  --version       print the version and exit\n"
    "  --help          print this and exit\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 71 the kernel lacks something,\n"
    "77 no permission, 78 configuration error.\n"
    "Manual: hamrd(8), hamr(1), hamr.yaml(5).\n";

}  // namespace

ParsedOptions parse_options(int argc, char** argv) {
    ParsedOptions parsed;
    parsed.options.config = control::default_config;
    parsed.options.socket = control::default_socket;
    parsed.options.state = control::default_state;
    static const std::array<option, 11> known{{{"config", required_argument, nullptr, 'c'},
                                               {"node", required_argument, nullptr, 'n'},
                                               {"socket", required_argument, nullptr, 's'},
                                               {"state", required_argument, nullptr, 'd'},
                                               {"cleanup", no_argument, nullptr, 'x'},
                                               {"keep-router", no_argument, nullptr, 'k'},
                                               {"rehearse", required_argument, nullptr, 'r'},
                                               {"new-gate", no_argument, nullptr, 'g'},
                                               {"version", no_argument, nullptr, 'v'},
                                               {"help", no_argument, nullptr, 'h'},
                                               {nullptr, 0, nullptr, 0}}};
    const auto end_with = [&](int code) {
        parsed.done = true;
        parsed.code = code;
        return parsed;
    };
    for (;;) {
        const int found = ::getopt_long(argc, argv, ":", known.data(), nullptr);
        if (found == -1) break;
        switch (found) {
            case 'c':
                parsed.options.config = optarg;
                break;
            case 'n':
                parsed.options.node = optarg;
                break;
            case 's':
                parsed.options.socket = optarg;
                break;
            case 'd':
                parsed.options.state = optarg;
                break;
            case 'x':
                parsed.options.cleanup = true;
                break;
            case 'k':
                parsed.options.keep_router = true;
                break;
            case 'r':
                parsed.options.rehearse = optarg;
                break;
            case 'g':
                parsed.options.new_gate = true;
                break;
            case 'v':
                std::printf("hamrd %s\n", std::string(control::version()).c_str());
                return end_with(cli::exit_done);
            case 'h':
                std::printf(help, control::default_config, control::default_socket,
                            control::default_state);
                return end_with(cli::exit_done);
            default: {
                const bool missing = found == ':';
                std::fprintf(stderr, "hamrd: %s %s; try `hamrd --help`\n",
                             missing ? "a value is missing after" : "unknown option",
                             argv[optind - 1]);
                return end_with(cli::exit_usage);
            }
        }
    }
    if (optind < argc) {
        std::fprintf(stderr, "hamrd: unexpected argument \"%s\"; try `hamrd --help`\n",
                     argv[optind]);
        return end_with(cli::exit_usage);
    }
    if (parsed.options.keep_router && !parsed.options.cleanup) {
        std::fprintf(stderr, "hamrd: --keep-router goes with --cleanup; try `hamrd --help`\n");
        return end_with(cli::exit_usage);
    }
    if (parsed.options.socket.find('/') == std::string::npos) {
        parsed.options.socket = "./" + parsed.options.socket;
    }
    return parsed;
}

}  // namespace hamr::daemon
