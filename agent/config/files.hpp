// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <string>

namespace hamr::config {

enum class Secrecy { open, secret };

/// Reads a whole regular file of at most `limit` bytes. Secret ones must be root's or the caller's
/// and closed to everyone else. Never blocks on what is not a file. Throws ConfigError.
std::string read_file(const std::string& path, std::size_t limit, Secrecy secrecy);

}  // namespace hamr::config
