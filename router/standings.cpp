// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/backends.hpp"

#include <algorithm>

// The part of the backends that is about flows which they have already: R7.

namespace hamr::router {

/// When the last failures that make a server be down began: all that R2 asks for.
void Backends::note_evidence(Server& server, const Observation& seen) const {
    if (!seen.failure || mysql::answered(seen.failure->kind)) return server.evidence.clear();
    // A refusal says all by itself. A missing route may be the echo of an earlier silence.
    if (seen.failure->kind == mysql::FailureKind::refused) server.evidence.clear();
    server.evidence.push_back(seen.begun_at);
    if (server.evidence.size() > config_.fall) server.evidence.erase(server.evidence.begin());
}

Standing Backends::standing(const Route& route, std::size_t index) const {
    const Server& server = servers_[index];
    Standing standing{route.port, server.address, true, long_ago, {}};
    // Not "not up": who has just been asked for the first time, or has to answer several times
    // until it is used again, need not be dead.
    if (server.failures >= config_.fall) {
        standing.goes_on = false;
        standing.begun_at = server.evidence.front();
        standing.why = "down: " + server.error;
        return standing;
    }
    if (route.to != Role::primary || !server.asked || primary_ == index) return standing;
    if (server.writable == false) {
        standing.goes_on = false;
        standing.begun_at = server.told_at;
        standing.why = "not the primary any more: it is read-only";
    } else if (primary_ && servers_[*primary_].up) {
        standing.goes_on = false;
        standing.begun_at = std::min(server.begun_at, servers_[*primary_].begun_at);
        standing.why =
            "not the primary any more: " + servers_[*primary_].address.to_string() + " is";
    }
    return standing;
}

std::vector<Standing> Backends::standings() const {
    std::vector<Standing> standings;
    for (const Route& route : config_.routes) {
        for (std::size_t i = 0; i < servers_.size(); ++i) {
            standings.push_back(standing(route, i));
        }
    }
    return standings;
}

}  // namespace hamr::router
