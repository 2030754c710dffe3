// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/keeper.hpp"

#include <algorithm>

namespace hamr::sim {

namespace {

constexpr const char* of_check = "check router";
constexpr const char* of_addresses = "addresses";
constexpr std::uint32_t no_link = 200;

}  // namespace

Keeper::Keeper(std::vector<vip::PlanConfig> groups) {
    for (vip::PlanConfig& group : groups) plans_.push_back({vip::Plan(std::move(group))});
}

void Keeper::heard(const std::vector<vip::KernelEvent>& events) {
    for (const vip::KernelEvent& event : events) links_.apply(event);
    changed_ = true;
}

void Keeper::hold(std::size_t group, BootTime now) {
    plans_[group].tell_announced = true;
    plans_[group].plan.hold(now);
    changed_ = true;
}

void Keeper::resume(std::size_t group, bool announced, BootTime now) {
    hold(group, now);
    plans_[group].tell_announced = !announced;
}

void Keeper::release(std::size_t group) {
    plans_[group].tell_announced = false;
    plans_[group].plan.release();
    changed_ = true;
}

void Keeper::announce(std::size_t group, BootTime now) {
    plans_[group].plan.announce(now);
    changed_ = true;
}

void Keeper::claim(const vip::Claim& claim, BootTime now) {
    for (Entry& entry : plans_) entry.plan.claim(claim, links_, now);
    changed_ = true;
}

Keeper::Due Keeper::update(BootTime now) {
    Due due;
    if (!changed_ && now < next_) return due;
    changed_ = false;
    due.any = true;
    next_ = never;
    for (std::size_t group = 0; group < plans_.size(); ++group) {
        Entry& entry = plans_[group];
        for (vip::Action& action : entry.plan.update(links_, now)) {
            due.actions.emplace_back(group, std::move(action));
        }
        if (entry.tell_announced && entry.plan.established()) {
            entry.tell_announced = false;
            due.announced.push_back(group);
        }
        next_ = std::min(next_, entry.plan.next());
    }
    return due;
}

vip::Readiness Keeper::readiness() const {
    for (const Entry& entry : plans_) {
        vip::Readiness readiness = entry.plan.readiness(links_);
        if (!readiness.ready) return readiness;
    }
    return {true, {}};
}

Doctor::Doctor(const health::CheckConfig& config, bool holds_addresses) : check_(config) {
    sources_.declare(of_check);
    if (holds_addresses) sources_.declare(of_addresses);
}

void Doctor::go_on(const health::CheckConfig& config, BootTime now) {
    check_ = health::Check(config);
    deferred_.clear();
    for (const health::Source& source : sources_.all()) unproven_.insert(source.name);
    grace_until_ = now + grace;
}

void Doctor::set(health::Source source) {
    if (unproven_.contains(source.name)) {
        const auto& all = sources_.all();
        const auto known = std::find_if(
            all.begin(), all.end(), [&](const health::Source& s) { return s.name == source.name; });
        deferred_.erase(source.name);
        if (known != all.end() && source.demotion > known->demotion) {
            deferred_[source.name] = std::move(source);
            return;
        }
        unproven_.erase(source.name);
    }
    sources_.set(std::move(source));
}

void Doctor::probed(BootTime now, BootTime begun, bool ok, std::uint32_t weight, bool urgent) {
    static_cast<void>(check_.observe(now, ok, begun, ok ? "" : "drawn"));
    health::Source source;
    source.name = of_check;
    source.begun_at = check_.begun_at();
    if (check_.state() == health::CheckState::down) {
        source.demotion = weight;
        source.reason = check_.text();
        source.urgent = urgent;
    }
    set(std::move(source));
}

void Doctor::addresses(const vip::Readiness& readiness) {
    health::Source source;
    source.name = of_addresses;
    source.live = true;
    if (!readiness.ready) {
        source.demotion = no_link;
        source.reason = readiness.reason;
        source.urgent = true;
    }
    set(std::move(source));
}

health::Verdict Doctor::verdict(BootTime now) {
    if (now >= grace_until_) {
        grace_until_ = never;
        unproven_.clear();
        for (auto& [name, source] : std::exchange(deferred_, {})) sources_.set(std::move(source));
    }
    sources_.refresh(now);
    return sources_.verdict();
}

}  // namespace hamr::sim
