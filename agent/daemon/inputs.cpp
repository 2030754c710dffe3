// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/inputs.hpp"

#include "agent/daemon/default_checks.hpp"
#include "agent/daemon/drainer.hpp"
#include "agent/daemon/files.hpp"
#include "agent/daemon/local_addresses.hpp"
#include "agent/daemon/warnings.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
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

/// The file, or those of a directory as HAProxy takes them: *.cfg, in the order of their names.
std::vector<std::string> files_of(const std::string& path) {
    std::error_code error;
    std::vector<std::string> files;
    if (!std::filesystem::is_directory(path, error)) return {path};
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
        if (entry.path().extension() == ".cfg") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string read_text(const std::string& path, std::vector<control::Warning>& warnings) {
    if (path.empty()) return {};
    std::string text;
    for (const std::string& file : files_of(path)) {
        std::ifstream in(file, std::ios::binary);
        if (in) text.append(std::istreambuf_iterator<char>(in), {}).append("\n");
        if (!in) {
            warnings.push_back(
                {"the router's configuration " + file + " cannot be read: " + std::strerror(errno),
                 "correct router.config in hamr.yaml, or the file's permissions, and restart "
                 "hamrd"});
        }
        if (text.size() > longest_file) return {};
    }
    return text;
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
