// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/target.hpp"

#include "tests/fuzz/memory.hpp"

#include <cstdio>
#include <cstdlib>

namespace hamr::fuzz {

void execute(const Target& target, Bytes input) {
    const Memory memory;
    target.run(input);
    const std::size_t used = memory.most();
    const std::size_t limit = target.memory + target.memory_each * input.size();
    if (used <= limit) return;
    std::fprintf(stderr, "%zu bytes of memory for an input of %zu; the limit is %zu\n", used,
                 input.size(), limit);
    std::abort();
}

bool is_one_line(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < 0x20 || byte == 0x7f) return false;
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
        if (byte == 0xc2 && next >= 0x80 && next < 0xa0) return false;
    }
    return true;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto first = static_cast<unsigned char>(text.front());
        const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (size > text.size() || (first >= 0x80 && first < 0xc2) || first > 0xf4) return false;
        unsigned code = size == 1 ? first : first & (0x7fU >> size);
        for (std::size_t i = 1; i < size; ++i) {
            const auto byte = static_cast<unsigned char>(text[i]);
            if ((byte & 0xc0) != 0x80) return false;
            code = code << 6 | (byte & 0x3fU);
        }
        constexpr unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        text.remove_prefix(size);
    }
    return true;
}

}  // namespace hamr::fuzz
