// SPDX-License-Identifier: GPL-2.0-or-later
// What is run: command lines, arguments, users.
#include "agent/config/config.hpp"
#include "agent/config/parts.hpp"

#include <algorithm>

namespace hamr::config {

namespace {

/// A plain string, as the list that was probably meant: [/usr/bin/x, -f, y]. "" when quotes or
/// the like make a guess unsafe.
std::string as_list(std::string_view text) {
    if (text.find_first_of("\"'\\,[]{}#$*?|&;<>`~") != std::string_view::npos) return {};
    std::string list;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (end > 0) list += (list.empty() ? "[" : ", ") + std::string(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return list.empty() ? list : list + "]";
}

}  // namespace

std::vector<std::string> read_arguments(Report& report, const Value& value, std::string_view path) {
    std::vector<std::string> words;
    if (value.kind == Value::Kind::scalar) {
        const std::string list = value.text.size() <= 200 ? as_list(value.text) : std::string();
        report.problem(
            value.place,
            std::string(path) +
                " must be a list, since no shell takes a string apart; write a list" +
                (list.empty() ? ", as in [/usr/bin/program, --option, value]" : ": " + list));
        return words;
    }
    if (value.kind == Value::Kind::null) {
        report.problem(value.place, std::string(path) + " has no value");
        return words;
    }
    read_list(report, value, path, limits::arguments, [&](const Value& item) {
        if (auto word = read_text(report, item, path)) words.push_back(std::move(*word));
    });
    return words;
}

std::vector<std::string> read_command(Report& report, const Value& value, std::string_view path) {
    std::vector<std::string> words = read_arguments(report, value, path);
    if (value.kind != Value::Kind::list || value.items.empty() || words.empty()) return words;
    if (value.items.front().kind == Value::Kind::scalar && words.front().front() != '/') {
        report.problem(value.items.front().place,
                       std::string(path) + ": \"" + words.front().substr(0, 64) +
                           "\" is not an absolute path; no PATH is searched, begin it with /");
    }
    return words;
}

std::string read_user(Report& report, const Value& value, std::string_view path) {
    const auto name = read_text(report, value, path);
    if (!name) return {};
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    const bool good =
        name->size() <= 32 && letter(name->front()) &&
        std::all_of(name->begin(), name->end(), [&](char c) {
            return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '$';
        });
    if (good) return *name;
    report.problem(value.place, std::string(path) + ": \"" + name->substr(0, 64) +
                                    "\" cannot be a user's name; see `getent passwd`");
    return {};
}

}  // namespace hamr::config
