// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/verdict.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

namespace hamr::health {

Verdict combine(std::span<const Source> sources) {
    Verdict verdict;
    if (sources.empty()) return verdict;

    std::vector<const Source*> causes;
    verdict.begun_at = never;
    for (const Source& source : sources) {
        verdict.begun_at = std::min(verdict.begun_at, source.begun_at);
        if (source.demotion == 0) continue;
        causes.push_back(&source);
        verdict.urgent = verdict.urgent || source.urgent;
        const std::uint32_t room = std::numeric_limits<std::uint32_t>::max() - verdict.demotion;
        verdict.demotion += std::min(room, source.demotion);
    }
    std::stable_sort(causes.begin(), causes.end(),
                     [](const Source* a, const Source* b) { return a->demotion > b->demotion; });
    for (const Source* cause : causes) {
        if (!verdict.reason.empty()) verdict.reason += "; ";
        verdict.reason += cause->reason.empty() ? cause->name : cause->reason;
    }
    return verdict;
}

void Sources::declare(std::string name) {
    const auto known = std::find_if(sources_.begin(), sources_.end(),
                                    [&](const Source& s) { return s.name == name; });
    if (known != sources_.end()) return;
    std::string reason = name + " has not been checked yet";
    sources_.push_back({std::move(name), unknown_demotion, std::move(reason), long_ago, false});
}

void Sources::set(Source source) {
    const auto known = std::find_if(sources_.begin(), sources_.end(),
                                    [&](const Source& s) { return s.name == source.name; });
    if (known == sources_.end()) {
        sources_.push_back(std::move(source));
    } else {
        *known = std::move(source);
    }
}

void Sources::refresh(BootTime now) {
    for (Source& source : sources_) {
        if (source.live) source.begun_at = now;
    }
}

void Sources::remove(std::string_view name) {
    std::erase_if(sources_, [&](const Source& s) { return s.name == name; });
}

}  // namespace hamr::health
