// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"

#include <functional>
#include <vector>

namespace hamr::control {

/// What stands behind the control API: the daemon, or a fake in tests. Called on the loop that
/// serves the API, one call at a time. An exception becomes a 500 answer.
class Handler {
  public:
    virtual ~Handler() = default;

    virtual Status status() = 0;
    /// Oldest first.
    virtual std::vector<HistoryEntry> history() = 0;
    /// Calls `done` once, now or seconds later, on the same loop. Names have been checked against
    /// status() before. A target that leads already is Outcome::done.
    virtual void failover(FailoverRequest request, std::function<void(FailoverAnswer)> done) = 0;
    /// Drains this node or takes it back. `done` comes once leadership has moved (or cannot); the
    /// rest of a drain is told by status().
    virtual void drain(DrainRequest request, std::function<void(Answer)> done) = 0;
    /// Nothing new to a backend, or again, on every router host. `done` comes once their rules are
    /// made by it, or after 2 s with who has not confirmed.
    virtual void drain_backend(BackendRequest request, std::function<void(BackendAnswer)> done) = 0;
    /// Configuration files are read again. What has changed in hamr.yaml is judged and taken over
    /// by a restart in place (`done` comes before that, with Answer::restarts); a supervised router
    /// reloads its own in its own way.
    virtual void reload(ReloadRequest request, std::function<void(Answer)> done) = 0;
    /// The agent executes its program again. `done` comes before that.
    virtual void restart(std::function<void(Answer)> done) = 0;
};

}  // namespace hamr::control
