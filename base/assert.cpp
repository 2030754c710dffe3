// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace hamr {

void assertion_failed(const char* expression, std::source_location where) {
    std::fprintf(stderr, "%s:%u: broken invariant: %s\n", where.file_name(), where.line(),
                 expression);
    std::abort();
}

}  // namespace hamr
