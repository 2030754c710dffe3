// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/output_lines.hpp"

#include <algorithm>
#include <utility>

namespace hamr::router {

namespace {

/// Room for one more escape: \xNN.
constexpr std::size_t max_raw = OutputLines::max_line - 4;

/// How many bytes the UTF-8 character at the front has; 0 when there is none, or one that acts on
/// a terminal (C1) or is malformed.
std::size_t utf8_length(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = at(0);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
    }
    const bool control = first == 0xc2 && at(1) < 0xa0;
    const bool overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
    const bool beyond = (first == 0xed && at(1) >= 0xa0) || (first == 0xf4 && at(1) >= 0x90);
    return control || overlong || beyond ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    while (!text.empty() && out.size() + 4 <= limit) {
        const std::size_t length = utf8_length(text);
        if (length > 0) {
            out += text.substr(0, length);
        } else if (text.front() == '\t') {
            out += ' ';
        } else {
            const auto byte = static_cast<unsigned char>(text.front());
            out += "\\x";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

std::vector<std::string> OutputLines::feed(std::string_view bytes, BootTime now) {
    std::vector<std::string> out;
    turn(out, now);
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view piece = bytes.substr(0, end);
        const std::size_t room = max_raw - std::min(max_raw, line_.size());
        line_ += piece.substr(0, room);
        cut_ = cut_ || piece.size() > room;
        if (end == std::string_view::npos) break;
        finish_line(out);
        bytes.remove_prefix(end + 1);
    }
    return out;
}

std::vector<std::string> OutputLines::tick(BootTime now) {
    std::vector<std::string> out;
    turn(out, now);
    return out;
}

std::vector<std::string> OutputLines::end(BootTime now) {
    std::vector<std::string> out;
    turn(out, now);
    if (!line_.empty()) finish_line(out);
    return out;
}

std::deque<std::string> OutputLines::newest() const {
    std::deque<std::string> lines;
    for (const Line& line : newest_) lines.push_back(line.shown());
    return lines;
}

std::string OutputLines::Line::shown() const {
    std::string text = printable(raw, max_line);
    if (cut || text.size() > max_raw) text += " [cut]";
    return text;
}

void OutputLines::finish_line(std::vector<std::string>& out) {
    Line line{std::exchange(line_, {}), std::exchange(cut_, false)};
    if (!line.raw.empty() && line.raw.back() == '\r') line.raw.pop_back();
    if (line.raw.empty()) return;
    if (sent_ < rate) {
        ++sent_;
        out.push_back(line.shown());
    } else {
        ++dropped_;
    }
    if (newest_.size() == remembered) newest_.pop_front();
    newest_.push_back(std::move(line));
}

void OutputLines::turn(std::vector<std::string>& out, BootTime now) {
    if (now - window_ < second) return;
    if (dropped_ > 0) out.push_back("[" + std::to_string(dropped_) + " lines dropped]");
    window_ = now;
    sent_ = 0;
    dropped_ = 0;
}

}  // namespace hamr::router
