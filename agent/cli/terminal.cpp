// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/terminal.hpp"

#include "agent/cli/exit_codes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace hamr::cli {

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

std::string cut(std::string_view text, std::size_t columns) {
    if (width(text) <= columns) return std::string(text);
    std::size_t end = 0;
    for (std::size_t kept = 0; end < text.size(); ++end) {
        const bool begins = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
        if (begins && ++kept >= columns) break;
    }
    return std::string(text.substr(0, end)) + "…";
}

std::string Paint::operator()(Tone tone, std::string_view text) const {
    if (!colours_ || tone == Tone::plain || text.empty()) return std::string(text);
    std::string_view code;
    switch (tone) {
        case Tone::plain:
            break;
        case Tone::good:
            code = "32";
            break;
        case Tone::bad:
            code = "1;31";
            break;
        case Tone::warn:
            code = "33";
            break;
        case Tone::dim:
            code = "2";
            break;
        case Tone::strong:
            code = "1";
            break;
    }
    return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

bool is_terminal() {
    const char* term = std::getenv("TERM");
    return term != nullptr && std::strcmp(term, "dumb") != 0 && ::isatty(STDOUT_FILENO) == 1;
}

bool wants_colours() {
    const char* no_color = std::getenv("NO_COLOR");
    return (no_color == nullptr || *no_color == '\0') && is_terminal();
}

std::string printable(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
        // U+0080 to U+009F: ESC [ is one of them, too.
        const bool second_block = byte == 0xc2 && next >= 0x80 && next < 0xa0;
        if (second_block) ++i;
        result += second_block || byte < 0x20 || byte == 0x7f ? '?' : text[i];
    }
    return result;
}

std::string table(const std::vector<std::vector<Cell>>& rows, const Paint& paint,
                  std::string_view indent) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        if (widths.size() < row.size()) widths.resize(row.size());
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], width(row[i].text));
        }
    }
    std::string text;
    for (const auto& row : rows) {
        text += indent;
        std::string gap;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string cell = printable(row[i].text);
            const Tone tone = &row == &rows.front() ? Tone::dim : row[i].tone;
            if (!cell.empty()) {
                text += gap + paint(tone, cell);
                gap.clear();
            }
            gap += std::string(widths[i] - width(cell) + 2, ' ');
        }
        text += '\n';
    }
    return text;
}

std::string wrap(std::string_view text, std::string_view indent, std::size_t columns) {
    std::string result;
    std::size_t filled = 0;
    while (!text.empty()) {
        const std::size_t lead = std::min(text.find_first_not_of(' '), text.size());
        const std::size_t end = std::min(text.find(' ', lead), text.size());
        const std::string_view word = text.substr(0, end);  // with the blanks before it
        text.remove_prefix(end);
        if (filled > 0 && filled + width(word) > columns) {
            result += "\n" + std::string(indent);
            result += word.substr(lead);
            filled = width(indent) + width(word.substr(lead));
        } else {
            result += word;
            filled += width(word);
        }
    }
    return result;
}

void Progress::show(std::string_view text, std::chrono::steady_clock::time_point now) {
    if (terminal_) {
        print("\r" + std::string(text) + "\033[K");
        open_ = true;
    } else {
        const bool soon = written_ && now - *written_ < std::chrono::seconds(1);
        if (text == last_ || soon) return;
        print(std::string(text) + "\n");
        last_ = text;
        written_ = now;
    }
    std::fflush(stdout);
}

void Progress::end() {
    if (std::exchange(open_, false)) print("\n");
}

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_error(std::string_view what, std::string_view remedy) {
    std::string text = "hamr: " + printable(what) + "\n";
    if (!remedy.empty()) text += "      " + printable(remedy) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
}

int finish_output() {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_done;
    print_error(std::string("cannot write the output: ") + std::strerror(errno));
    return exit_failed;
}

}  // namespace hamr::cli
