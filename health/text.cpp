// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/text.hpp"

#include "base/assert.hpp"

#include <cstdint>

namespace hamr::health {

namespace {

constexpr std::string_view cut_mark = "...";

std::uint8_t at(std::string_view text, std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
}

/// Bytes of the character at `i`; 0 when it is no valid UTF-8 (RFC 3629) or a control character.
std::size_t character(std::string_view text, std::size_t i) {
    const std::uint8_t first = at(text, i);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t length = first >= 0xf5   ? 0
                               : first >= 0xf0 ? 4
                               : first >= 0xe0 ? 3
                               : first >= 0xc2 ? 2
                                               : 0;
    for (std::size_t k = 1; k < length; ++k) {
        if ((at(text, i + k) & 0xc0) != 0x80) return 0;
    }
    const std::uint8_t second = at(text, i + 1);
    const bool too_long = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate = first == 0xed && second >= 0xa0;
    const bool too_far = first == 0xf4 && second >= 0x90;
    const bool control = first == 0xc2 && second < 0xa0;
    return too_long || surrogate || too_far || control ? 0 : length;
}

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

std::string printable(std::string_view raw, std::size_t limit) {
    HAMR_ASSERT(limit > cut_mark.size());
    std::string out;
    std::size_t safe = 0;  // where a cut leaves room for its mark
    bool blank = false;
    for (std::size_t i = 0; i < raw.size();) {
        if (is_space(raw[i])) {
            blank = !out.empty();
            ++i;
            continue;
        }
        if (blank) out += ' ';
        blank = false;
        const std::size_t length = character(raw, i);
        if (length == 0) {
            out += '?';
        } else {
            out.append(raw.substr(i, length));
        }
        i += length == 0 ? 1 : length;
        if (out.size() > limit) {
            out.resize(safe);
            return out.append(cut_mark);
        }
        if (out.size() + cut_mark.size() <= limit) safe = out.size();
    }
    return out;
}

}  // namespace hamr::health
