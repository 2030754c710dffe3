// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <string>

#include <tl/expected.hpp>

// One request to the agent's Unix socket, and its answer. Blocks, at most as long as it is told.

namespace hamr::control {

struct Response {
    unsigned http = 0;
    std::string body;
};

struct ClientError {
    enum class Kind {
        unreachable,   // nobody there, or no answer in time: exit 69
        no_permission  // exit 77
    };

    Kind kind = Kind::unreachable;
    std::string what;
    std::string remedy;
};

struct ClientOptions {
    std::string socket;
    std::chrono::milliseconds timeout = std::chrono::seconds(5);
};

/// `body` is sent as JSON when it is not empty. Answers up to 8 MiB.
tl::expected<Response, ClientError> request(const ClientOptions& options, const std::string& method,
                                            const std::string& target,
                                            const std::string& body = {});

}  // namespace hamr::control
