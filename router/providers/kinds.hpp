// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "router/providers/provider.hpp"

#include <string>
#include <string_view>

// One function for each kind of router, in a file of its own; make_plan() chooses. Each fills what
// differs: provider.cpp has filled name, user and unit before, and appends the arguments after.

namespace hamr::router {

/// sigaction's numbers are those of Linux; the pure room has no <csignal>.
inline constexpr int signal_hup = 1;
inline constexpr int signal_usr1 = 10;
inline constexpr int signal_usr2 = 12;
inline constexpr int signal_term = 15;

Result<> plan_mysqlrouter(const ProviderConfig& config, std::string_view file, Plan& plan);
Result<> plan_haproxy(const ProviderConfig& config, std::string_view file, Plan& plan);
Result<> plan_proxysql(const ProviderConfig& config, std::string_view file, Plan& plan);
Result<> plan_systemd(const ProviderConfig& config, std::string_view file, Plan& plan);
Result<> plan_command(const ProviderConfig& config, std::string_view file, Plan& plan);

/// The binary to start: the operator's, else where the kind's packages put it.
[[nodiscard]] std::string program_of(const ProviderConfig& config, std::string_view usual);
/// Unless max_listeners are there.
void add_listener(Plan& plan, Listener listener);
/// When no listener was found: that nothing can be checked by itself. `what` is what it should
/// have.
void warn_without_listener(const ProviderConfig& config, std::string_view what, Plan& plan);

}  // namespace hamr::router
