// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "election/settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

// One life of the agent as bytes, so that a new program can go on with it (docs/protocol.md, rules
// U): Election::save() and Election::restore().
//
// A snapshot is for the same host, the same boot of that host and settings that this life can go on
// with (U2), and for one reader: two that went on with one life would both answer for it. Its owner
// sees to that (the agent hands it over in memory that is emptied when it is read). A snapshot that
// cannot be used leaves a new life, which is always safe: it is what follows a crash.

namespace hamr::election {

/// To be raised whenever the list of what is kept changes in any way, or what a member means.
inline constexpr std::uint32_t snapshot_version = 6;

/// `payload` with a version in front and a checksum over both behind.
[[nodiscard]] std::vector<std::byte> seal_snapshot(std::uint32_t version, Bytes payload);
/// What was sealed; an error for another version or any damage. It points into `sealed`.
[[nodiscard]] Result<Bytes> open_snapshot(std::uint32_t version, Bytes sealed);

/// What of the election `now` asks to be otherwise than `before`: another cluster, node, list of
/// nodes or groups, mode or timers. Empty when there is nothing. Preferences may change.
[[nodiscard]] std::string difference(const Settings& before, const Settings& now);

}  // namespace hamr::election
