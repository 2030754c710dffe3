// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/error.hpp"

#include <string>
#include <string_view>
#include <vector>

// A YAML file as a plain tree in which every key and value knows its place and repeated keys are
// still there. Built from yaml-cpp's events, since its node API silently keeps one of two equal
// keys and expands aliases.
//
// Limits: one document, nesting up to `max_depth`; anchors, aliases, tags and keys that are not
// plain words are refused, so that a small file cannot grow into a large one.

namespace hamr::config {

struct Entry;

struct Value {
    enum class Kind { null, scalar, list, map };

    Kind kind = Kind::null;
    Place place;
    std::string text;            // of a scalar
    std::vector<Value> items;    // of a list
    std::vector<Entry> entries;  // of a map, in file order, repeated keys included

    /// "a map", "a list", "a single value", "nothing": for messages.
    [[nodiscard]] std::string_view kind_name() const;
};

struct Entry {
    std::string key;
    Place place;
    Value value;
};

inline constexpr std::size_t max_depth = 16;

/// Parses the text of one file. Syntax errors go into `report`; then the returned value is null.
Value parse_tree(const std::string& text, Report& report);

}  // namespace hamr::config
