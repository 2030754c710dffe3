// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <functional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// Runs a short command beside a router: one that judges its configuration, or one that tells it
// something.

namespace hamr::router_io {

/// Of the command's output, the rest is dropped.
inline constexpr std::size_t max_command_output = 16 * 1024;

/// `done` is called once, from the executor, never from inside this call: with what the command
/// said when it exited with 0, else with why not ("haproxy exited with code 1: [ALERT] …"). After
/// `timeout` its whole process group is killed. An empty `user`: as the agent. Blocks only for
/// process::spawn(), and process::find_account() of a user.
void run_command(boost::asio::any_io_executor executor, const std::vector<std::string>& argv,
                 const std::string& user, Duration timeout,
                 std::function<void(Result<std::string>)> done);

}  // namespace hamr::router_io
