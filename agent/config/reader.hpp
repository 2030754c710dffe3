// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/error.hpp"
#include "agent/config/tree.hpp"
#include "base/clock.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Typed reading of a tree: each function reports what is wrong (named with the setting's path, as
// in "heartbeat.interval") and what to write, and returns nothing then. No setting is checked
// twice, so that one mistake gives one message.

namespace hamr::config {

/// The known word nearest to `word` when it looks like a slip of the pen, else "".
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known);

/// `; did you mean "x"?`, or `; <heading> a, b, c`.
std::string suggestion(std::string_view word, std::span<const std::string_view> known,
                       std::string_view heading);

/// One map of the file. Reports unknown and repeated keys when it is made.
class Section {
  public:
    /// What to say of a key that is known, but not here: "has no meaning with kind: tcp; remove
    /// it". "" for a key that is known nowhere.
    using Elsewhere = std::function<std::string(std::string_view key)>;

    Section(Report& report, const Value& map, std::string path,
            std::initializer_list<std::string_view> known)
        : Section(report, map, std::move(path), std::span(known.begin(), known.size()), {}) {}
    Section(Report& report, const Value& map, std::string path,
            std::span<const std::string_view> known, const Elsewhere& elsewhere);

    /// The value of a key, or null when it is absent (the first one, when it is given twice).
    [[nodiscard]] const Value* find(std::string_view key) const;
    /// As find(), and reports the key as missing, with `example` as what to write (unless a
    /// misspelling of it has been reported already).
    [[nodiscard]] const Value* require(std::string_view key, std::string_view example) const;
    [[nodiscard]] std::string path(std::string_view key) const;
    [[nodiscard]] Place place() const { return map_.place; }

  private:
    Report& report_;
    const Value& map_;
    std::string path_;
    std::vector<std::string_view> misspelt_;  // keys that an unknown one seems to mean
};

/// Reports a key that occurs more than once; returns the entries without the repetitions.
std::vector<const Entry*> distinct_entries(Report& report, const Value& map);

bool expect_map(Report& report, const Value& value, std::string_view path,
                std::string_view example);
std::optional<std::string> read_text(Report& report, const Value& value, std::string_view path);
/// A name: [a-z0-9][a-z0-9_.-]{0,62}.
bool check_name(Report& report, Place place, std::string_view name, std::string_view what);
std::optional<std::int64_t> read_integer(Report& report, const Value& value, std::string_view path,
                                         std::int64_t low, std::int64_t high);
std::optional<Duration> read_duration(Report& report, const Value& value, std::string_view path,
                                      Duration low, Duration high);
std::optional<bool> read_boolean(Report& report, const Value& value, std::string_view path);
/// One of `words`; the index of the word is returned.
std::optional<std::size_t> read_word(Report& report, const Value& value, std::string_view path,
                                     std::span<const std::string_view> words);
/// An absolute path of a file; that it exists is not asked.
std::optional<std::string> read_file_path(Report& report, const Value& value,
                                          std::string_view path);
/// Calls `each` for every item of a list, or once for a single value. Lists are at least one and at
/// most `most` long.
void read_list(Report& report, const Value& value, std::string_view path, std::size_t most,
               const std::function<void(const Value&)>& each);

}  // namespace hamr::config
