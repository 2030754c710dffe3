// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Small pieces of text, and small questions to a status, that the pages share.

namespace hamr::cli {

/// "1 vote", "3 votes".
[[nodiscard]] std::string count(std::uint64_t number, std::string_view thing);
/// "a, b".
[[nodiscard]] std::string join(const std::vector<std::string>& parts);
/// A line of a page: the label, then the text from column 12 on, broken at column 100.
[[nodiscard]] std::string line(std::string_view label, const std::string& text);
[[nodiscard]] std::string underscores_to_blanks(std::string_view word);
/// "45 s", "3 min", "2 h 5 min", "6 d 1 h".
[[nodiscard]] std::string show_age(std::chrono::milliseconds age);
/// "0.4 ms", "35 ms", "4.2 s", "3 min".
[[nodiscard]] std::string show_ms(double ms);
/// "2026-11-20T06:00:00Z (2 h 5 min ago)".
[[nodiscard]] std::string show_since(control::WallTime since, control::WallTime now);

/// Null when the status has no such node.
const control::NodeStatus* find_node(const control::Status& status, std::string_view name);
[[nodiscard]] bool is_witness(const control::Status& status);
[[nodiscard]] std::size_t voters_in_reach(const control::Status& status);
/// Whether this node is on the losing side of a partition: another may well lead.
[[nodiscard]] bool in_minority(const control::Status& status, const control::GroupStatus& group);
/// How a drain of this node goes: "12 connections left, 48 s until the rest is cut". "" without.
[[nodiscard]] std::string show_drain(const control::DrainStatus& drain);

}  // namespace hamr::cli
