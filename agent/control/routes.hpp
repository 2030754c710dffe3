// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/handler.hpp"

#include <functional>
#include <string>
#include <string_view>

// The control API without HTTP's bytes and without sockets: a method, a path and a body in, a
// number and a JSON text out. README.md here is its manual.

namespace hamr::control {

struct ApiRequest {
    std::string method;  // "GET"
    std::string target;  // "/v1/status", perhaps with "?…", which is ignored
    std::string body;
};

struct ApiAnswer {
    unsigned http = 200;
    std::string body;
    std::string allow;  // for 405: the methods that the path has
};

/// Answers one request through `done`: called once, at once or (failover) when the handler is
/// ready. Throws nothing.
void answer(Handler& handler, const ApiRequest& request, std::function<void(ApiAnswer)> done);

/// The HTTP number of an outcome.
[[nodiscard]] unsigned http_code(Outcome outcome);

}  // namespace hamr::control
