// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flow_ends.hpp"

#include <algorithm>

namespace hamr::router {

FlowEnds::FlowEnds(const FlowTable& table, std::vector<std::vector<IpAddress>> groups)
    : table_(table), groups_(std::move(groups)), led_since_(groups_.size()) {}

void FlowEnds::lead(std::size_t group, std::optional<BootTime> since) {
    led_since_.at(group) = since;
}

bool FlowEnds::ends(const Standing& standing, std::size_t group) const {
    const auto& since = led_since_[group];
    return !standing.goes_on && since && standing.begun_at >= *since;
}

std::set<std::pair<std::size_t, FlowEnds::Pair>> FlowEnds::ending_pairs() const {
    std::set<std::pair<std::size_t, Pair>> pairs;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
        for (const auto& [pair, standing] : standings_) {
            if (ends(standing, group)) pairs.insert({group, pair});
        }
    }
    return pairs;
}

bool FlowEnds::judge(std::vector<Standing> standings) {
    const auto before = ending_pairs();
    const auto known = std::move(standings_);
    standings_.clear();
    for (Standing& standing : standings) {
        const Pair pair{standing.port, standing.backend};
        standings_[pair] = std::move(standing);
    }
    const bool first = !std::exchange(judged_, true);
    const auto now = ending_pairs();
    const bool removed = std::any_of(known.begin(), known.end(), [&](const auto& entry) {
        return !standings_.contains(entry.first);
    });
    return first || removed || !std::includes(before.begin(), before.end(), now.begin(), now.end());
}

std::optional<std::size_t> FlowEnds::group_of(const IpAddress& vip) const {
    for (std::size_t group = 0; group < groups_.size(); ++group) {
        const auto& vips = groups_[group];
        if (std::find(vips.begin(), vips.end(), vip) != vips.end()) return group;
    }
    return {};
}

std::optional<std::string> FlowEnds::why(const Flow& flow) const {
    if (!judged_ || !flow.translation) return {};
    if (flow.translation->source.address != flow.id.vip.address) return {};
    const auto group = group_of(flow.id.vip.address);
    if (!group || !led_since_[*group]) return {};
    const auto found = standings_.find({flow.id.vip.port, flow.translation->backend});
    if (found == standings_.end()) return "not configured";
    if (!ends(found->second, *group)) return {};
    return found->second.why;
}

bool FlowEnds::look(const Flow& flow) {
    const bool opens = flow.state == TcpState::syn_sent;
    if ((!opens && !is_open(flow.state)) || !why(flow)) return false;
    if (opens) {
        openings_.push_back(flow.id);
        return true;
    }
    if (!known_.insert({flow.id, false}).second) return false;
    queue_.push_back(flow.id);
    return true;
}

std::vector<Ending> FlowEnds::take(std::size_t most) {
    std::vector<Ending> endings;
    while (!queue_.empty() && endings.size() < most) {
        const FlowId id = queue_.front();
        queue_.pop_front();
        const auto known = known_.find(id);
        auto flow = table_.own(id);
        // It may have ended by itself, or its backend has come back.
        auto reason = flow ? why(*flow) : std::nullopt;
        if (!reason) {
            known_.erase(known);
            continue;
        }
        endings.push_back(
            {std::move(*flow), *group_of(id.vip.address), std::move(*reason), known->second});
    }
    return endings;
}

std::vector<FlowId> FlowEnds::take_openings(std::size_t most) {
    const std::size_t number = std::min(most, openings_.size());
    const auto end = openings_.begin() + static_cast<std::ptrdiff_t>(number);
    std::vector<FlowId> openings(openings_.begin(), end);
    openings_.erase(openings_.begin(), end);
    return openings;
}

bool FlowEnds::is_there(const Ending& ending) const {
    const auto flow = table_.own(ending.flow.id);
    return flow && flow->translation &&
           flow->translation->backend == ending.flow.translation->backend &&
           flow->translation->source == ending.flow.translation->source;
}

void FlowEnds::over(const std::vector<Ending>& endings, bool reset) {
    for (const Ending& ending : endings) {
        const FlowId& id = ending.flow.id;
        const bool again = ending.again || (reset && is_there(ending));
        known_.erase(id);
        const auto flow = table_.own(id);
        if (flow && look(*flow)) known_[id] = again;
    }
}

}  // namespace hamr::router
