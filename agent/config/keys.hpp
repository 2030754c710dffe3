// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/error.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

// The secrets that a configuration names, in files of their own: the cluster's keys and the
// monitoring account's password.
//
// A key file holds lines `KEYID BASE64`; the first key signs, all of them verify. KEYID is 1 to 16
// of A-Z a-z 0-9 - _; BASE64 is the standard alphabet, padded, of 32 random bytes. Empty lines and
// lines that begin with # are skipped. At most 16 keys.
//
// A secret's file must be a regular file of root's or of the calling user, with no permission for
// anyone else (0600 or 0400), and of at most 64 KiB.

namespace hamr::config {

struct Key {
    std::string id;
    std::array<std::byte, 32> bytes{};

    friend bool operator==(const Key&, const Key&) = default;
};

inline constexpr std::size_t max_keys = 16;

/// Judges the text of a key file. Throws ConfigError; never shows what might be key material.
std::vector<Key> parse_keys(const std::string& text, const std::string& name);

/// Opens, checks and reads a key file. Throws ConfigError, its cause() set when it cannot be read.
std::vector<Key> load_keys(const std::string& path);

/// The first line of a password file, under the same rules. Throws ConfigError.
std::string load_password(const std::string& path);

/// A new key from the system's randomness, its id "k" and eight hexadecimal digits.
Key generate_key();

/// The line of a key file, without its end: `KEYID BASE64`.
std::string to_line(const Key& key);

}  // namespace hamr::config
