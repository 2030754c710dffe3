// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

// One decoder, fed with anything. A target asserts (HAMR_ASSERT) what holds for every input; memory
// is watched around it. The same functions run under libFuzzer (entry.cpp, clang) and over the
// corpus (replay.cpp, any compiler).

namespace hamr::fuzz {

struct Target {
    std::string_view name;
    void (*run)(Bytes input);
    /// The most bytes that may be allocated at any one moment: `memory` and `memory_each` for each
    /// byte of the input.
    std::size_t memory = 0;
    std::size_t memory_each = 0;
};

/// Runs it, and asserts its limit of memory.
void execute(const Target& target, Bytes input);

[[nodiscard]] inline std::string_view as_text(Bytes input) {
    return {reinterpret_cast<const char*>(input.data()), input.size()};
}

[[nodiscard]] inline bool same(Bytes a, Bytes b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// Fit for one line of a log or a terminal: no control character, not those of Unicode's second
/// block (U+0080 to U+009F) either.
[[nodiscard]] bool is_one_line(std::string_view text);
/// RFC 3629.
[[nodiscard]] bool is_utf8(std::string_view text);

extern const Target answers, claim, config, conntrack, control, core, diag, flow, frame, keys,
    mysql, netlink, note, orders, provider, snapshot, words;

}  // namespace hamr::fuzz
