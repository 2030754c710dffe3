// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/config.hpp"
#include "agent/config/keys.hpp"
#include "agent/control/model.hpp"
#include "agent/daemon/options.hpp"
#include "base/result.hpp"
#include "health/probe.hpp"
#include "router/providers/provider.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace hamr::daemon {

/// Everything that is read before anything is started.
struct Inputs {
    config::Config config;  ///< with its passwords filled in
    std::size_t self = 0;
    std::vector<config::Key> keys;
    std::string monitor_password;
    std::optional<router::Plan> plan;       ///< of a supervised router, on a router host
    std::vector<health::CheckSpec> checks;  ///< none on a witness
    bool drained = false;                   ///< since before this start
    bool same_voters = false;               ///< as in its last life, by members_note.hpp
    /// Addresses that this life had before a reload: removed where they are left, and mute.
    std::vector<IpAddress> retired;
    std::vector<control::Warning> warnings;

    [[nodiscard]] const config::Node& node() const { return config.nodes[self]; }
    [[nodiscard]] bool routes() const { return node().role == config::NodeRole::router; }
};

/// Throws config::ConfigError for what a file says; an error when this host is none of the nodes.
[[nodiscard]] Result<Inputs> read_inputs(const Options& options);

/// Reads the supervised router's own configuration. One that cannot be read is a warning: the
/// router itself will say more when it is started, and the host counts as unfit until then.
[[nodiscard]] Result<router::Plan> plan_router(const router::ProviderConfig& config,
                                               std::vector<control::Warning>& warnings);

}  // namespace hamr::daemon
