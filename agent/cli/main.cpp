// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/arguments.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/exit_codes.hpp"
#include "agent/cli/terminal.hpp"

#include <exception>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
        return hamr::cli::run_command_line(hamr::cli::all_commands(), words);
    } catch (const std::exception& error) {
        hamr::cli::print_error(std::string("failed: ") + error.what());
        return hamr::cli::exit_failed;
    }
}
