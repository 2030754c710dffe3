// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/inputs.hpp"

#include "agent/daemon/default_checks.hpp"
#include "agent/daemon/drainer.hpp"
#include "agent/daemon/files.hpp"
#include "agent/daemon/local_addresses.hpp"
#include "agent/daemon/warnings.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <variant>

namespace hamr::daemon {

namespace {

constexpr std::size_t longest_file = 4 << 20;

/// The secrets that files keep, into the settings that need them.
void fill_passwords(config::Config& config) {
    if (!config.router.admin_password_file.empty()) {
        config.router.provider.admin.password =
            config::load_password(config.router.admin_password_file);
    }
    for (config::HealthCheck& check : config.health) {
        if (check.password_file.empty()) continue;
        const std::string password = config::load_password(check.password_file);
        if (auto* mysql = std::get_if<health::MysqlProbe>(&check.spec.probe)) {
            mysql->password = password;
        } else if (auto* http = std::get_if<health::HttpProbe>(&check.spec.probe)) {
            http->password = password;
        }
    }
}

/// A directory of files (HAProxy takes one) is left to the router itself.
std::string read_text(const std::string& path, std::vector<control::Warning>& warnings) {
    if (path.empty()) return {};
    std::ifstream in(path, std::ios::binary);
    std::string text;
    if (in) text.assign(std::istreambuf_iterator<char>(in), {});
    if (!in && text.empty()) {
        warnings.push_back(
            {"the router's configuration " + path + " cannot be read: " + std::strerror(errno),
             "correct router.config in hamr.yaml, or the file's permissions, and "
             "restart hamrd"});
    }
    return text.size() > longest_file ? std::string() : text;
}

}  // namespace

Result<router::Plan> plan_router(const router::ProviderConfig& config,
                                 std::vector<control::Warning>& warnings) {
    auto plan = router::make_plan(config, read_text(router::config_path(config), warnings));
    if (!plan) return plan;
    for (const std::string& what : plan->warnings) {
        warnings.push_back({what, "see " + config.config});
    }
    return plan;
}

Result<Inputs> read_inputs(const Options& options) {
    Inputs inputs;
    config::Loaded loaded = config::load(options.config);
    inputs.warnings = config_warnings(loaded);
    inputs.config = std::move(loaded.config);
    inputs.keys = config::load_keys(inputs.config.key_file);
    const auto self = config::find_self(inputs.config, options.node, local_addresses());
    if (!self) return tl::unexpected(self.error());
    inputs.self = *self;
    inputs.drained =
        Drainer::recorded(drained_file(options.state, inputs.config.cluster, inputs.node().name));
    // A witness asks no server, so nobody needs to put the passwords there.
    if (!inputs.routes()) return inputs;
    const config::Monitor& monitor = inputs.config.router.monitor;
    if (!monitor.password_file.empty()) {
        inputs.monitor_password = config::load_password(monitor.password_file);
    }
    fill_passwords(inputs.config);
    if (inputs.config.router.kind == config::RouterKind::supervised) {
        auto plan = plan_router(inputs.config.router.provider, inputs.warnings);
        if (!plan) return tl::unexpected(plan.error());
        inputs.plan = std::move(*plan);
    }
    inputs.checks = checks_of(inputs.config, inputs.plan ? &*inputs.plan : nullptr);
    return inputs;
}

}  // namespace hamr::daemon
