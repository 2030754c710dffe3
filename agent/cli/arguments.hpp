// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The command line as a table: what a command is called, takes and does stands in one row, and the
// help is made from the rows.

namespace hamr::cli {

struct Option {
    std::string_view name;   // "--to"
    std::string_view value;  // "NODE"; "" for a switch; "[=TIME]" when it can be left out
    std::string_view help;
};

/// A command line that has been understood.
struct Invocation {
    std::map<std::string, std::string, std::less<>> options;
    std::vector<std::string> operands;

    [[nodiscard]] bool has(std::string_view option) const { return options.contains(option); }
    [[nodiscard]] std::optional<std::string> value(std::string_view option) const;
};

struct Command {
    std::string_view name;     // one word, or two
    std::string_view operand;  // "FILE"; "" when it takes none
    std::string_view summary;  // one line
    std::string_view details;  // paragraphs for `hamr COMMAND --help`
    std::vector<Option> options;
    int (*run)(const Invocation& invocation);  // returns an exit code
};

/// Understands and runs a command line (without the program's name). Help goes to standard output,
/// usage errors to standard error with exit code 2.
int run_command_line(std::span<const Command> commands, const std::vector<std::string>& words);

/// The page of `hamr --help`.
[[nodiscard]] std::string general_help(std::span<const Command> commands);

}  // namespace hamr::cli
