// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Text for people: colours where they are wanted, columns that line up, and nothing in it that a
// terminal would obey.

namespace hamr::cli {

enum class Tone { plain, good, bad, warn, dim, strong };

/// Wraps text in colours, or leaves it as it is.
class Paint {
  public:
    explicit Paint(bool colours) : colours_(colours) {}
    [[nodiscard]] std::string operator()(Tone tone, std::string_view text) const;

  private:
    bool colours_;
};

/// Colours when standard output is a terminal that has them and NO_COLOR is not set.
[[nodiscard]] bool wants_colours();

/// Control characters, those of Unicode's second block too, become "?"; other UTF-8 stays.
[[nodiscard]] std::string printable(std::string_view text);

/// Characters, not bytes: continuation bytes of UTF-8 take no column.
[[nodiscard]] std::size_t width(std::string_view text);

/// At most `columns` characters; what is left out shows as "…".
[[nodiscard]] std::string cut(std::string_view text, std::size_t columns);

struct Cell {
    std::string text;
    Tone tone = Tone::plain;
};

/// Columns as wide as their widest cell (in characters), two blanks between, each line after
/// `indent`. The first row is a heading. Makes cells printable.
[[nodiscard]] std::string table(const std::vector<std::vector<Cell>>& rows, const Paint& paint,
                                std::string_view indent);

/// Lines of `columns` characters at most, broken at blanks; `indent` begins all but the first.
[[nodiscard]] std::string wrap(std::string_view text, std::string_view indent,
                               std::size_t columns = 80);

/// A line that tells how something goes: written over and over on a terminal, else anew each time
/// that it changes, and not more than once a second.
class Progress {
  public:
    explicit Progress(bool terminal) : terminal_(terminal) {}
    ~Progress() { end(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(std::string_view text, std::chrono::steady_clock::time_point now);
    /// What follows begins on a line of its own.
    void end();

  private:
    bool terminal_;
    bool open_ = false;
    std::string last_;
    std::optional<std::chrono::steady_clock::time_point> written_;
};

/// Whether standard output is a terminal on which a line can be written over.
[[nodiscard]] bool is_terminal();

void print(std::string_view text);
/// "hamr: what" and an indented remedy, on standard error. Both are made printable.
void print_error(std::string_view what, std::string_view remedy = {});
/// Flushes standard output: exit_done, or exit_failed (said on standard error) when it is full.
int finish_output();

}  // namespace hamr::cli
