// SPDX-License-Identifier: GPL-2.0-or-later
// Key files: what is accepted is written as lines that say the same; what is refused is told
// without showing what might be key material.
#include "agent/config/keys.hpp"

#include "tests/fuzz/target.hpp"

#include <string>

namespace hamr::fuzz {

namespace {

using namespace hamr::config;

void run(Bytes input) {
    const std::string text(as_text(input));
    try {
        const std::vector<Key> keys = parse_keys(text, "f");
        HAMR_ASSERT(!keys.empty() && keys.size() <= max_keys);
        std::string written;
        for (const Key& key : keys) written += to_line(key) + "\n";
        HAMR_ASSERT(parse_keys(written, "f") == keys);
    } catch (const ConfigError& error) {
        HAMR_ASSERT(!error.problems().empty());
        for (const Problem& problem : error.problems()) {
            HAMR_ASSERT(!problem.message.empty() && is_one_line(problem.to_string()));
            // A KEYID at most.
            HAMR_ASSERT(problem.message.size() < 120);
        }
    }
}

}  // namespace

const Target keys{"keys", run, 128 << 10, 16};

}  // namespace hamr::fuzz
