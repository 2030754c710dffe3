// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

// A router's output, byte by byte, made into lines that can be shown: printable, bounded in length
// and in number.
//
// Limits   A line is cut at max_line bytes (" [cut]" is appended). At most `rate` lines leave in a
//          second; what is over is counted, and one line says how many when the second is over.
//          What is dropped is remembered all the same, since it may say why the writer ended.
// Memory   One unfinished line and the `remembered` newest.

namespace hamr::router {

class OutputLines {
  public:
    static constexpr std::size_t max_line = 1024;
    static constexpr unsigned rate = 50;
    static constexpr std::size_t remembered = 32;
    static constexpr Duration second = std::chrono::seconds{1};

    [[nodiscard]] std::vector<std::string> feed(std::string_view bytes, BootTime now);
    /// The second may be over: the line that says how many were dropped, if it is due.
    [[nodiscard]] std::vector<std::string> tick(BootTime now);
    /// The writer ended: what it left unfinished.
    [[nodiscard]] std::vector<std::string> end(BootTime now);
    /// When the next tick() is due, or `never`.
    [[nodiscard]] BootTime next() const { return dropped_ > 0 ? window_ + second : never; }
    /// The newest lines, oldest first, whether they have left or were dropped.
    [[nodiscard]] std::deque<std::string> newest() const;
    /// Forgets them: another writer begins.
    void forget() { newest_.clear(); }

  private:
    struct Line {
        std::string raw;
        bool cut = false;
        [[nodiscard]] std::string shown() const;
    };

    void finish_line(std::vector<std::string>& out);
    void turn(std::vector<std::string>& out, BootTime now);

    std::string line_;
    bool cut_ = false;
    BootTime window_ = long_ago;
    unsigned sent_ = 0;
    unsigned long dropped_ = 0;
    std::deque<Line> newest_;
};

/// Control characters and what is not UTF-8 as \xNN, tabs as a blank; at most `limit` bytes.
[[nodiscard]] std::string printable(std::string_view text,
                                    std::size_t limit = OutputLines::max_line);

}  // namespace hamr::router
