// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"

#include <string>

namespace hamr::router_io {

/// Writes a file through to the disk, all of it or nothing, also when the power fails: what stood
/// there is replaced in one step. `path` + ".new" is used meanwhile; mode 0600. The folder must be
/// there. Blocks for as long as the disk does.
[[nodiscard]] Result<> write_durably(const std::string& path, const std::string& text);

}  // namespace hamr::router_io
