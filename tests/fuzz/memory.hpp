// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>

namespace hamr::fuzz {

/// How much is allocated while it lives; one at a time, one thread. What C++ allocates; with a
/// sanitizer, C too.
class Memory {
  public:
    Memory();
    /// At any one moment, beyond what there was.
    [[nodiscard]] std::size_t most() const;

  private:
    long before_;
};

}  // namespace hamr::fuzz
