// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "router/io/instance.hpp"

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// An instance that is a process of the agent's: started, noted, watched through its pidfd, adopted
// by the agent's next life, ended with everything that it started.
//
// Files      `state_file` notes it before it is started, so that no moment exists at which a dead
//            agent leaves a router that nobody knows of; `state_file`.out is its output.
// Exit       heard through the pidfd, at once. Gone comes once no process of it is left, looked for
//            in /proc: see process_tree.hpp.

namespace hamr::router_io {

struct ProcessInstanceConfig {
    std::string name;  ///< for messages
    std::vector<std::string> argv;
    std::string user;
    std::string state_file;
};

[[nodiscard]] std::unique_ptr<Instance> make_process_instance(
    const boost::asio::any_io_executor& executor, ProcessInstanceConfig config,
    Instance::Events events);

/// Supervisor's end_orphan(): see supervisor.hpp.
[[nodiscard]] Result<bool> end_noted_process(const std::string& state_file, Duration stop_timeout);

}  // namespace hamr::router_io
