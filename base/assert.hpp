// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <source_location>

// Assertions that stay on in release. A broken invariant means that the state can no longer be
// trusted, and for an agent that holds an address the safe thing to do is to die: the gate in the
// kernel closes by itself when the lease ends.

namespace hamr {

[[noreturn]] void assertion_failed(const char* expression,
                                   std::source_location where = std::source_location::current());

}  // namespace hamr

#define HAMR_ASSERT(expression) \
    ((expression) ? static_cast<void>(0) : ::hamr::assertion_failed(#expression))
