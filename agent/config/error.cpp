// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/error.hpp"

#include <algorithm>

namespace hamr::config {

namespace {

void sort_by_place(std::vector<Problem>& problems) {
    std::stable_sort(problems.begin(), problems.end(),
                     [](const Problem& a, const Problem& b) { return a.place < b.place; });
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

void Report::problem(Place place, std::string message) {
    if (problems_.size() < max_problems) {
        problems_.push_back({file_, place, std::move(message)});
    } else if (problems_.size() == max_problems) {
        problems_.push_back({file_, {INT32_MAX, 0}, {}});
    }
}

void Report::warning(Place place, std::string message) {
    if (warnings_.size() < max_problems) warnings_.push_back({file_, place, std::move(message)});
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
