// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/providers/provider.hpp"

#include <string>
#include <string_view>
#include <vector>

// What HAProxy's configuration says that matters here: where it listens, for what, and where its
// stats socket is. It has conditions, variables, quotes and inherited defaults; what depends on
// something that only HAProxy can know is left out.

namespace hamr::router {

struct HaproxyFile {
    std::vector<Listener> listeners;
    /// The path of the first Unix socket with `level admin`, else of the first one; may be empty.
    std::string stats_socket;
    /// `master-worker no-exit-on-failure`: the master outlives a worker that crashed.
    bool survives_its_worker = false;
};

[[nodiscard]] HaproxyFile read_haproxy(std::string_view text);

}  // namespace hamr::router
