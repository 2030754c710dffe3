// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

// Who voted in this node's last life: what a voter that starts has to know before it may grant
// anything early (docs/protocol.md, rule M6).

namespace hamr::daemon {

/// Whether `file` says that the last life had these voters; a file that is not there, or damaged,
/// says nothing. Then the file names these, for the next life: before the first frame is sent, and
/// written through to the disk. The order of names does not matter. Blocks for some milliseconds.
///
/// An error when it could not be written: then the file is gone, if that at least was possible.
struct MembersNote {
    bool same = false;
    Result<> kept;
};
[[nodiscard]] MembersNote note_members(const std::string& file, std::vector<std::string> names);

}  // namespace hamr::daemon
