// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/backends.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace hamr::router {

const char* to_string(Role role) {
    switch (role) {
        case Role::unknown:
            return "unknown";
        case Role::primary:
            return "primary";
        case Role::secondary:
            return "secondary";
    }
    return "?";
}

const char* to_string(BackendState state) {
    switch (state) {
        case BackendState::down:
            return "down";
        case BackendState::up:
            return "up";
        case BackendState::draining:
            return "draining";
    }
    return "?";
}

const char* to_string(RouterState state) {
    switch (state) {
        case RouterState::off:
            return "off";
        case RouterState::failed:
            return "failed";
        case RouterState::degraded:
            return "degraded";
        case RouterState::serving:
            return "serving";
    }
    return "?";
}

Backends::Backends(BackendsConfig config) : config_(std::move(config)) {
    HAMR_ASSERT(config_.fall > 0 && config_.rise > 0);
    for (const Endpoint& address : config_.servers) {
        servers_.emplace_back().address = address;
    }
}

std::vector<Change> Backends::observe(const Endpoint& server, Observation observation) {
    const auto found = std::find_if(servers_.begin(), servers_.end(),
                                    [&](const Server& s) { return s.address == server; });
    if (found == servers_.end() || observation.begun_at < found->newest) return {};

    std::vector<std::string> before;
    for (std::size_t i = 0; i < servers_.size(); ++i) before.push_back(describe(i));
    note(*found, observation);
    choose_primary();

    std::vector<Change> changes;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        std::string after = describe(i);
        if (after == before[i]) continue;
        changes.push_back({servers_[i].address, before[i], std::move(after), why_not(i)});
    }
    return changes;
}

void Backends::note(Server& server, const Observation& seen) const {
    server.asked = true;
    server.newest = seen.begun_at;
    server.fresh = false;
    server.error = seen.failure ? seen.failure->text : "";
    note_evidence(server, seen);
    if (seen.failure && !mysql::answered(seen.failure->kind)) {
        server.answers = 0;
        ++server.failures;
        if (mysql::certain(seen.failure->kind)) server.failures = config_.fall;
        if (server.failures >= config_.fall) server.up = false;
        if (!server.up) server.begun_at = seen.begun_at;
        return;
    }
    server.failures = 0;
    ++server.answers;
    if (server.answers >= config_.rise) server.up = true;
    server.begun_at = seen.begun_at;
    server.latency = seen.latency;
    if (!seen.version.empty()) server.version = seen.version;
    if (!seen.read_only) return;
    server.fresh = true;
    server.told_at = seen.begun_at;
    server.writable = !*seen.read_only && !seen.super_read_only.value_or(false);
}

bool Backends::known_primary_stays() const {
    if (!primary_) return false;
    const Server& known = servers_[*primary_];
    if (!known.writable.value_or(false)) return false;
    if (known.up && known.fresh) return true;
    return std::none_of(servers_.begin(), servers_.end(), [&](const Server& s) {
        return &s != &known && s.up && s.fresh && s.writable.value_or(false);
    });
}

void Backends::choose_primary() {
    const bool roles_known = std::any_of(servers_.begin(), servers_.end(),
                                         [](const Server& s) { return s.writable.has_value(); });
    if (config_.roles_by_order && !roles_known) return choose_primary_by_order();
    if (known_primary_stays()) return;
    primary_.reset();
    for (std::size_t i = 0; i < servers_.size() && !primary_; ++i) {
        const Server& s = servers_[i];
        if (s.up && s.fresh && s.writable.value_or(false)) primary_ = i;
    }
}

void Backends::choose_primary_by_order() {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        if (!servers_[i].up) continue;
        primary_ = i;
        return;
    }
}

bool Backends::conflicting(std::size_t index) const {
    return primary_ && *primary_ != index && servers_[index].up &&
           servers_[index].writable.value_or(false);
}

Role Backends::role_of(std::size_t index) const {
    const Server& server = servers_[index];
    if (primary_ == index) return Role::primary;
    if (server.writable == false) return Role::secondary;
    if (config_.roles_by_order && !server.writable && server.up) return Role::secondary;
    return Role::unknown;
}

BackendState Backends::state_of(const Server& server) const {
    if (!server.up) return BackendState::down;
    return server.draining ? BackendState::draining : BackendState::up;
}

bool Backends::usable(std::size_t index, bool also_draining) const {
    return servers_[index].up && (also_draining || !servers_[index].draining);
}

bool Backends::drain(const Endpoint& server, bool on) {
    for (Server& s : servers_) {
        if (s.address != server) continue;
        s.draining = on;
        return true;
    }
    return false;
}

std::string Backends::describe(std::size_t index) const {
    std::string text = to_string(state_of(servers_[index]));
    const Role role = role_of(index);
    if (role != Role::unknown) text += std::string(", ") + to_string(role);
    return text;
}

/// Why this backend is what it is, in a few words.
std::string Backends::why_not(std::size_t index) const {
    const Server& server = servers_[index];
    if (!server.asked) return "not asked yet";
    if (!server.error.empty()) return server.error;
    if (conflicting(index)) {
        return "writable, while " + servers_[*primary_].address.to_string() + " is the primary";
    }
    if (!server.up) return "not up long enough";
    if (!server.writable) return "role not known";
    return *server.writable ? "writable" : "read-only";
}

std::string Backends::why_no_primary() const {
    if (servers_.empty()) return "no backend is configured";
    std::string text;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const bool drains = state_of(servers_[i]) == BackendState::draining;
        text += (i == 0 ? "" : ", ") + servers_[i].address.to_string() + " " +
                (drains ? "draining" : why_not(i));
    }
    return text;
}

std::vector<BackendView> Backends::view() const {
    std::vector<BackendView> views;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const Server& server = servers_[i];
        BackendView& view = views.emplace_back();
        view.address = server.address;
        view.role = role_of(i);
        view.state = state_of(server);
        view.draining = server.draining;
        view.error = server.asked && !conflicting(i) ? server.error : why_not(i);
        view.version = server.version;
        view.latency = server.latency;
    }
    return views;
}

std::vector<std::size_t> Backends::serving(const Route& route, bool also_draining) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        if (role_of(i) == route.to && usable(i, also_draining)) found.push_back(i);
    }
    const bool fall_back = route.to == Role::secondary && route.fall_back;
    if (found.empty() && fall_back && primary_ && usable(*primary_, also_draining)) {
        found.push_back(*primary_);
    }
    return found;
}

bool Backends::is_drained(const Route& route) const {
    return serving(route).empty() && !serving(route, true).empty();
}

std::vector<std::string> Backends::drained_routes() const {
    std::vector<std::string> names;
    for (const Route& route : config_.routes) {
        if (is_drained(route)) names.push_back(route.name);
    }
    return names;
}

std::vector<RoutePlan> Backends::plan() const {
    std::vector<RoutePlan> plans;
    for (const Route& route : config_.routes) {
        RoutePlan& plan = plans.emplace_back(RoutePlan{route.name, route.port, {}});
        for (const std::size_t i : serving(route)) plan.backends.push_back(servers_[i].address);
    }
    return plans;
}

std::vector<Warning> Backends::warnings() const {
    std::vector<Warning> warnings;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const Server& server = servers_[i];
        const std::string name = server.address.to_string();
        if (conflicting(i)) {
            warnings.push_back({"two writable servers: " + name + " is writable, while " +
                                    servers_[*primary_].address.to_string() + " is the primary",
                                "set read_only=ON on the one that is not the source"});
        }
        if (server.up && !server.error.empty() && !config_.roles_by_order) {
            warnings.push_back({"backend " + name + " cannot be monitored: " + server.error,
                                "check router.monitor and the account's grants"});
        }
    }
    for (const Route& route : config_.routes) {
        if (!is_drained(route)) continue;
        std::string drained;
        for (const std::size_t i : serving(route, true)) {
            drained += (drained.empty() ? "" : ", ") + servers_[i].address.to_string();
        }
        warnings.push_back({"route " + route.name + " leads nowhere: what could serve it is " +
                                "draining (" + drained + ")",
                            "`hamr backend undrain ADDRESS`, or give its role to another server"});
    }
    if (config_.roles_by_order && !servers_.empty()) {
        warnings.push_back({"roles are not watched: the first backend that answers is the primary",
                            "configure router.monitor with a user"});
    }
    return warnings;
}

Verdict Backends::verdict() const {
    Verdict verdict;
    if (config_.routes.empty()) {
        verdict.reason = "no route is configured";
        return verdict;
    }
    verdict.warnings = warnings();
    verdict.begun_at = never;
    std::string lost;
    std::string lessened;
    std::size_t served = 0;
    for (const Route& route : config_.routes) {
        const auto backends = serving(route);
        if (backends.empty()) {
            lost += (lost.empty() ? "no backend for " : ", ") + route.name;
            continue;
        }
        ++served;
        for (const std::size_t i : backends) {
            verdict.begun_at = std::min(verdict.begun_at, servers_[i].begun_at);
        }
        const bool fell_back = route.to == Role::secondary && role_of(backends[0]) != route.to;
        if (fell_back && servers_.size() > 1) {
            lessened = "no secondary: " + route.name + " leads to the primary";
        }
    }
    if (lost.empty()) {
        verdict.state = lessened.empty() ? RouterState::serving : RouterState::degraded;
        verdict.reason = lessened;
    } else {
        note_lost(verdict, lost, served);
    }
    return verdict;
}

/// Some route leads nowhere. What operators have wanted is no reason for another host to lead (R6).
void Backends::note_lost(Verdict& verdict, const std::string& lost, std::size_t served) const {
    for (const Server& s : servers_) verdict.begun_at = std::min(verdict.begun_at, s.begun_at);
    if (servers_.empty()) verdict.begun_at = long_ago;
    verdict.state = served > 0 ? RouterState::degraded : RouterState::failed;
    verdict.reason = lost + ": " + why_no_primary();
    const std::size_t drained = drained_routes().size();
    if (served + drained == config_.routes.size()) return;
    const bool all_asked =
        std::all_of(servers_.begin(), servers_.end(), [](const Server& s) { return s.asked; });
    verdict.demotion = served + drained > 0 ? demotion_route_lost : demotion_all_lost;
    if (!all_asked) verdict.demotion = demotion_not_asked;
}

}  // namespace hamr::router
