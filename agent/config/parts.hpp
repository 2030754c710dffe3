// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/addresses.hpp"
#include "agent/config/config.hpp"
#include "agent/config/error.hpp"
#include "agent/config/reader.hpp"

#include <string>
#include <string_view>
#include <vector>

// The larger parts of the file, each in a source of its own, and what they share. Private to this
// room; parse.cpp puts them together.

namespace hamr::config {

/// `router:` (read_router.cpp). `book` knows which addresses are VIPs.
Router read_router(Report& report, const Section& top, AddressBook& book);

/// `health:` (read_health.cpp). `config` has nodes, groups and router already.
std::vector<HealthCheck> read_health(Report& report, const Section& top, const Config& config);

/// A command line as a list: an absolute program and its arguments. A plain string is refused,
/// since no shell takes it apart.
std::vector<std::string> read_command(Report& report, const Value& value, std::string_view path);
/// Arguments as a list; a plain string is refused likewise.
std::vector<std::string> read_arguments(Report& report, const Value& value, std::string_view path);
/// A user of the operating system, as a name.
std::string read_user(Report& report, const Value& value, std::string_view path);

}  // namespace hamr::config
