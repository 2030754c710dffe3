// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// What is wrong with a file, all of it at once. The only exceptions of this program start here;
// they are caught by main() (hamrd, hamr check) and end in exit code 78.

namespace hamr::config {

/// Where in a file, counted from 1 as editors do; line 0 means "the file as a whole".
struct Place {
    int line = 0;
    int column = 0;

    friend auto operator<=>(const Place&, const Place&) = default;
};

/// One finding: what is wrong, and what to write instead.
struct Problem {
    std::string file;
    Place place;
    std::string message;

    /// "FILE:LINE:COLUMN: message", or "FILE: message" when it is about the file as a whole.
    [[nodiscard]] std::string to_string() const;
};

/// Thrown by the loading functions of this room; holds at least one problem, in file order.
class ConfigError : public std::exception {
  public:
    explicit ConfigError(std::vector<Problem> problems, std::error_code cause = {});

    [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }
    /// The operating system's reason when the file could not be read at all (EACCES: exit 77).
    [[nodiscard]] std::error_code cause() const { return cause_; }
    /// Every problem, one per line.
    [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

  private:
    std::vector<Problem> problems_;
    std::error_code cause_;
    std::string text_;
};

/// Collects findings about one file while it is read. Bounded: a file of nonsense yields
/// `max_problems` findings and a last line that says so. A message may quote the file: what would
/// end its line, or move a terminal, becomes "?".
class Report {
  public:
    static constexpr std::size_t max_problems = 100;

    explicit Report(std::string file) : file_(std::move(file)) {}

    void problem(Place place, std::string_view message);
    void warning(Place place, std::string_view message);
    [[nodiscard]] bool failed() const { return !problems_.empty(); }
    /// Throws ConfigError when there is a problem; else returns the warnings, in file order.
    std::vector<Problem> finish() &&;

  private:
    std::string file_;
    std::vector<Problem> problems_;
    std::vector<Problem> warnings_;
};

}  // namespace hamr::config
