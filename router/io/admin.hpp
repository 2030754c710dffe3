// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "router/providers/provider.hpp"

#include <cstddef>
#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

// Speaks to a running router through its administrative side: HAProxy's stats socket (a Unix
// stream: one line of commands, an answer, the end), or ProxySQL's admin port (MySQL's protocol).

namespace hamr::router_io {

/// An answer longer than this is an error, so that no router can fill the agent's memory.
inline constexpr std::size_t max_admin_answer = 256 * 1024;

/// Does what router::AdminCommand says. `plan` and `config` are what make_plan() made and was
/// given.
///
/// HAProxy: `text` is one line, its commands separated by ';'; the answer is HAProxy's, without
/// blank lines at its end. The socket cannot tell an error from an answer.
///
/// ProxySQL: the statements of `text`, separated by ';', run one after the other in one session;
/// the first that fails ends it. A result comes as lines of values separated by tabs (NULL as
/// "NULL"), a statement without one as nothing.
///
/// `done` is called once, from the executor, never from inside this call, `timeout` from now at the
/// latest (all statements together). Errors name whom was asked and what to do about it. Never
/// blocks.
void run_admin(boost::asio::any_io_executor executor, const router::Plan& plan,
               const router::ProviderConfig& config, std::string text, Duration timeout,
               std::function<void(Result<std::string>)> done);

}  // namespace hamr::router_io
