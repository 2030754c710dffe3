// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/error.hpp"

#include <algorithm>

namespace hamr::config {

namespace {

void sort_by_place(std::vector<Problem>& problems) {
    std::stable_sort(problems.begin(), problems.end(),
                     [](const Problem& a, const Problem& b) { return a.place < b.place; });
}

/// One line that a terminal may be given, whatever of the file it quotes: control characters
/// become "?" (U+0080 to U+009F are some, too).
std::string one_line(std::string_view message) {
    std::string line;
    for (std::size_t i = 0; i < message.size(); ++i) {
        const auto byte = static_cast<unsigned char>(message[i]);
        const auto next = static_cast<unsigned char>(i + 1 < message.size() ? message[i + 1] : 0);
        const bool second_block = byte == 0xc2 && next >= 0x80 && next < 0xa0;
        if (second_block) ++i;
        line += second_block || byte < 0x20 || byte == 0x7f ? '?' : message[i];
    }
    return line;
}

}  // namespace

std::string Problem::to_string() const {
    if (place.line == 0) return file + ": " + message;
    return file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": " +
           message;
}

ConfigError::ConfigError(std::vector<Problem> problems, std::error_code cause)
    : problems_(std::move(problems)), cause_(cause) {
    for (const Problem& problem : problems_) {
        if (!text_.empty()) text_ += '\n';
        text_ += problem.to_string();
    }
}

void Report::problem(Place place, std::string_view message) {
    if (problems_.size() < max_problems) {
        problems_.push_back({file_, place, one_line(message)});
    } else if (problems_.size() == max_problems) {
        problems_.push_back({file_, {INT32_MAX, 0}, {}});
    }
}

void Report::warning(Place place, std::string_view message) {
    if (warnings_.size() < max_problems) warnings_.push_back({file_, place, one_line(message)});
}

std::vector<Problem> Report::finish() && {
    sort_by_place(problems_);
    if (problems_.size() > max_problems) {
        problems_.back() = {file_, {}, "more problems are not shown; correct these first"};
    }
    if (!problems_.empty()) throw ConfigError(std::move(problems_));
    sort_by_place(warnings_);
    return std::move(warnings_);
}

}  // namespace hamr::config
