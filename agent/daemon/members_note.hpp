// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

// Who has voted with this node for the last 3 s at least, its last life included: what a voter that
// starts has to know before it may grant anything early (docs/protocol.md, rule M6). So the note
// goes before other voters count, and is written again when those have counted for 3 s: no promise
// that was made under another list runs then. The order of names does not matter.
//
// Each call blocks for some milliseconds; what it changes is written through to the disk.

namespace hamr::daemon {

/// Whether `file` names these voters. One that is not there, or damaged, says nothing.
[[nodiscard]] bool members_noted(const std::string& file, std::vector<std::string> names);

/// The note goes. One that is not there is success.
[[nodiscard]] Result<> forget_members(const std::string& file);

/// The file names these voters from now on. After an error it is gone, if that at least was
/// possible.
[[nodiscard]] Result<> note_members(const std::string& file, std::vector<std::string> names);

}  // namespace hamr::daemon
