// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/arguments.hpp"

#include "agent/cli/exit_codes.hpp"
#include "agent/cli/terminal.hpp"
#include "agent/config/reader.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <variant>

namespace hamr::cli {

namespace {

constexpr std::array<Option, 2> global_options{
    {{"--socket", "PATH", "the agent's socket (default /run/hamr/hamrd.sock)"},
     {"--help", "", "show help, also for one command"}}};

constexpr std::string_view exit_code_help =
    "Exit codes: 0 done, 1 refused or failed, 2 usage, 69 the agent cannot be reached,\n"
    "77 no permission, 78 configuration error.\n"
    "Manual: hamr(1), hamrd(8), hamr.yaml(5).\n";

bool may_be_left_out(const Option& option) {
    return option.value.starts_with('[');
}

/// "--to NODE", "--wait[=TIME]".
std::string words_of(const Option& option) {
    std::string text(option.name);
    if (!option.value.empty() && !may_be_left_out(option)) text += " ";
    return text + std::string(option.value);
}

std::string option_lines(std::span<const Option> options) {
    std::string text;
    for (const Option& option : options) {
        std::string left = "  " + words_of(option);
        left.resize(std::max<std::size_t>(left.size() + 2, 18), ' ');
        text += left + std::string(option.help) + "\n";
    }
    return text;
}

std::string usage_of(const Command& command) {
    std::string text = "hamr " + std::string(command.name);
    for (const Option& option : command.options) text += " [" + words_of(option) + "]";
    if (!command.operand.empty()) text += " " + std::string(command.operand);
    return text;
}

std::string command_help(const Command& command) {
    std::string text = "usage: " + usage_of(command) + "\n\n";
    text += std::string(command.details) + "\n\nOptions:\n";
    return text + option_lines(command.options) + option_lines(global_options);
}

int usage_error(const std::string& message, const std::string& hint) {
    print_error(message, hint);
    return exit_usage;
}

/// One option and its value out of `words`; advances `at` past what it used.
struct Taken {
    std::string name;
    std::string value;
    std::string error;
};

Taken take_option(std::span<const Option> options, const std::vector<std::string>& words,
                  std::size_t& at) {
    const std::string& word = words[at++];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const auto known = std::find_if(options.begin(), options.end(),
                                    [&](const Option& option) { return option.name == name; });
    if (known == options.end()) {
        std::vector<std::string_view> names;
        for (const Option& option : options) names.push_back(option.name);
        return {
            name, {}, "unknown option " + name + config::suggestion(name, names, "known here:")};
    }
    if (known->value.empty()) {
        if (equals != std::string::npos) return {name, {}, name + " takes no value"};
        return {name, {}, {}};
    }
    if (equals != std::string::npos) return {name, word.substr(equals + 1), {}};
    if (may_be_left_out(*known)) return {name, {}, {}};
    if (at == words.size()) return {name, {}, name + " needs a " + std::string(known->value)};
    return {name, words[at++], {}};
}

/// Nothing: no command begins like that; nullptr: its second word is still missing.
std::optional<const Command*> find_command(std::span<const Command> commands,
                                           const std::string& name) {
    bool begun = false;
    for (const Command& command : commands) {
        if (command.name == name) return &command;
        begun = begun || command.name.starts_with(name + " ");
    }
    if (!begun) return std::nullopt;
    return nullptr;
}

/// "backend what? backend drain, backend undrain".
std::string what_of(std::span<const Command> commands, const std::string& name) {
    std::string known;
    for (const Command& command : commands) {
        if (!command.name.starts_with(name + " ")) continue;
        known += (known.empty() ? "" : " or ") + std::string(command.name);
    }
    return "the command is not complete: " + known;
}

}  // namespace

std::optional<std::string> Invocation::value(std::string_view option) const {
    const auto found = options.find(option);
    if (found == options.end()) return std::nullopt;
    return found->second;
}

std::string general_help(std::span<const Command> commands) {
    std::string text =
        "hamr: one address over the hosts that route to MySQL\n\n"
        "usage: hamr [--socket PATH] COMMAND [OPTIONS]\n\nCommands:\n";
    for (const Command& command : commands) {
        std::string left = "  " + std::string(command.name);
        if (!command.operand.empty()) left += " " + std::string(command.operand);
        if (left.size() + 2 > 18) left += "\n";
        left.resize(left.ends_with('\n') ? left.size() + 18 : 18, ' ');
        text += left + std::string(command.summary) + "\n";
    }
    text += "\nOptions:\n" + option_lines(global_options);
    return text + "\n`hamr COMMAND --help` tells more about one.\n" + std::string(exit_code_help);
}

int run_command_line(std::span<const Command> commands, const std::vector<std::string>& words) {
    const Command* command = nullptr;
    std::string name;  // what has been said of it
    Invocation invocation;
    bool only_operands = false;
    for (std::size_t at = 0; at < words.size();) {
        const std::string& word = words[at];
        if (!only_operands && word.size() > 1 && word.front() == '-') {
            std::vector<Option> known(global_options.begin(), global_options.end());
            if (command != nullptr) {
                known.insert(known.begin(), command->options.begin(), command->options.end());
            }
            if (word == "--") {
                only_operands = true;
                ++at;
                continue;
            }
            if (word == "-h") {
                invocation.options["--help"];
                ++at;
                continue;
            }
            Taken taken = take_option(known, words, at);
            if (!taken.error.empty()) {
                return usage_error(taken.error,
                                   command == nullptr
                                       ? "see hamr --help"
                                       : "see hamr " + std::string(command->name) + " --help");
            }
            invocation.options[taken.name] = taken.value;
        } else if (command == nullptr && (word != "help" || !name.empty())) {
            name += (name.empty() ? "" : " ") + word;
            const auto found = find_command(commands, name);
            if (!found) {
                std::vector<std::string_view> names;
                for (const Command& each : commands) names.push_back(each.name);
                return usage_error(
                    "unknown command " + name + config::suggestion(name, names, "the commands are"),
                    "see hamr --help");
            }
            command = *found;
            ++at;
        } else if (command == nullptr) {
            invocation.options["--help"];
            ++at;
        } else {
            invocation.operands.push_back(word);
            ++at;
        }
    }
    if (invocation.has("--help")) {
        print(command == nullptr ? general_help(commands) : command_help(*command));
        return finish_output();
    }
    if (command == nullptr) {
        return usage_error(name.empty() ? "a command is missing" : what_of(commands, name),
                           "see hamr --help");
    }
    const std::size_t wanted = command->operand.empty() ? 0 : 1;
    if (invocation.operands.size() != wanted) {
        const bool missing = invocation.operands.size() < wanted;
        return usage_error(missing ? std::string(command->operand) + " is missing"
                                   : "too many arguments: " + invocation.operands[wanted],
                           "usage: " + usage_of(*command));
    }
    return command->run(invocation);
}

}  // namespace hamr::cli
