// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"
#include "router/supervision.hpp"

#include <functional>
#include <string_view>

// The hands of the supervision machine: what starts, signals and ends one instance, and tells what
// happens to it. A process of the agent's (process_instance.hpp) or a unit of systemd's
// (unit_instance.hpp).

namespace hamr::router_io {

class Instance {
  public:
    struct Events {
        /// Found…, Lost, Started, StartFailed, Exited, Gone, Restarting. May come from inside a
        /// call.
        std::function<void(const router::Input&)> input;
        std::function<void(std::string_view line)> output;
    };
    /// Whether it was heard, not whether it was done. May come from inside the call.
    using Done = std::function<void(Result<>)>;

    Instance() = default;
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    /// Leaves what runs as it is.
    virtual ~Instance() = default;

    /// Looks for what runs already: a Found… follows.
    virtual Result<> open() = 0;
    /// Started or StartFailed follows.
    virtual void start() = 0;
    /// To the main process.
    virtual void signal(int number, Done done) = 0;
    /// Its own way of stopping and reloading, where the router has no better one.
    virtual void stop(Done done) = 0;
    virtual void reload(Done done) = 0;
    virtual void kill() = 0;
    /// After Exited: ends what is left; Gone follows.
    virtual void end_rest(bool polite) = 0;
};

}  // namespace hamr::router_io
