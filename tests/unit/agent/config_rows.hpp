// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

// Rows of "this file, and all that is said about it".

namespace hamr::test {

using Lines = std::vector<std::string>;

/// A good file in five lines; rows replace or append lines (counted from 1).
inline const Lines good{"cluster: shop",
                        "nodes: {r1: 192.0.2.11, r2: 192.0.2.12, w1: {addresses: [192.0.2.13], "
                        "role: witness}}",
                        "key_file: /k", "vip: 192.0.2.100/24", "router: {kind: none}"};

inline std::string with(std::size_t number, const std::string& text) {
    Lines lines = good;
    if (number > lines.size()) lines.resize(number);
    lines[number - 1] = text;
    std::string file;
    for (const std::string& line : lines) file += line + "\n";
    return file;
}

/// A good file but for its router, whose settings stand in line 5 from column 10 on.
inline std::string embedded(const std::string& settings) {
    return with(5, "router: {" + settings + "}");
}

inline const std::string backends = "backends: [192.0.2.21:3306]";
inline const std::string monitor = "monitor: {user: u, password_file: /p}";

struct Row {
    std::string name;
    std::string file;
    Lines said;
};

inline void PrintTo(const Row& row, std::ostream* out) {
    *out << row.name;
}

inline std::string row_name(const testing::TestParamInfo<Row>& info) {
    return info.param.name;
}

inline Lines problems_of(const std::string& text) {
    Lines lines;
    try {
        config::parse(text, "f");
    } catch (const config::ConfigError& error) {
        for (const config::Problem& problem : error.problems()) {
            lines.push_back(problem.to_string());
        }
    }
    return lines;
}

/// Of a file without problems.
inline Lines warnings_of(const std::string& text) {
    Lines lines;
    for (const config::Problem& warning : config::parse(text, "f").warnings) {
        lines.push_back(warning.to_string());
    }
    return lines;
}

}  // namespace hamr::test
