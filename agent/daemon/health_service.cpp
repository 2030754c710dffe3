// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/health_service.hpp"

#include "agent/daemon/status_page.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <sodium.h>

namespace hamr::daemon {

namespace {

/// How soon a router that is starting is asked again.
constexpr Duration retry_period = std::chrono::milliseconds{50};

std::string source_name(const std::string& check) {
    return "check " + check;
}

std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    randombytes_buf(&seed, sizeof seed);
    return seed;
}

control::CheckState state_of(const health_io::Runner& runner) {
    if (!runner.running()) return control::CheckState::paused;
    switch (runner.check().state()) {
        case health::CheckState::unknown:
            return control::CheckState::unknown;
        case health::CheckState::up:
            return control::CheckState::up;
        case health::CheckState::down:
            return control::CheckState::down;
    }
    return control::CheckState::unknown;
}

}  // namespace

HealthService::HealthService(boost::asio::io_context& io,
                             const std::vector<health::CheckSpec>& specs, Events events)
    : io_(io), timer_(io), retry_timer_(io), events_(std::move(events)) {
    for (const health::CheckSpec& spec : specs) add(spec);
}

void HealthService::add(const health::CheckSpec& spec) {
    health_io::Runner::Events events;
    const std::size_t index = runners_.size();
    events.observed = [this, index](const health::Check& check,
                                    const health::Transition* transition) {
        observed(index, check, transition);
    };
    runners_.push_back(std::make_unique<health_io::Runner>(io_.get_executor(), spec, random_seed(),
                                                           std::move(events)));
}

void HealthService::replace(const std::vector<health::CheckSpec>& specs, Duration patience) {
    const auto same = [](const auto& runner, const health::CheckSpec& spec) {
        return runner->spec() == spec;
    };
    if (std::equal(runners_.begin(), runners_.end(), specs.begin(), specs.end(), same)) return;
    const bool on = !paused_;
    pause();
    runners_.clear();
    for (const health::CheckSpec& spec : specs) add(spec);
    if (on) start(patience);
}

std::vector<std::string> HealthService::source_names(const std::vector<health::CheckSpec>& specs) {
    std::vector<std::string> names;
    for (const health::CheckSpec& spec : specs) names.push_back(source_name(spec.name));
    return names;
}

void HealthService::start(Duration patience) {
    paused_ = false;
    told_up_ = false;
    patient_until_ = BootClock::now() + patience;
    retries_.clear();
    for (const auto& runner : runners_) {
        runner->stop();
        runner->start();
    }
    timer_.expires_after(patience);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error && !paused_) patience_over();
    });
}

void HealthService::pause() {
    paused_ = true;
    timer_.cancel();
    retry_timer_.cancel();
    retries_.clear();
    for (const auto& runner : runners_) {
        runner->stop();
        events_.forget(source_name(runner->spec().name));
    }
}

void HealthService::patience_over() {
    for (const auto& runner : runners_) {
        // One that has not answered yet will: its time-out bounds that.
        if (runner->check().state() != health::CheckState::unknown) {
            tell(runner->spec(), runner->check());
        }
    }
}

void HealthService::retry(std::size_t index) {
    retries_.push_back(index);
    if (retries_.size() > 1) return;  // the timer runs
    retry_timer_.expires_after(retry_period);
    retry_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || paused_) return;
        for (const std::size_t again : std::exchange(retries_, {})) {
            runners_[again]->stop();
            runners_[again]->start();
        }
    });
}

void HealthService::observed(std::size_t index, const health::Check& check,
                             const health::Transition* transition) {
    if (paused_) return;
    const health::CheckSpec& spec = runners_[index]->spec();
    const bool first = transition != nullptr && transition->from == health::CheckState::unknown;
    if (first && check.state() == health::CheckState::down && patient()) return retry(index);
    if (transition != nullptr) events_.turned(spec.name, *transition);
    if (check.state() == health::CheckState::up || !patient()) tell(spec, check);
    const bool up = std::all_of(runners_.begin(), runners_.end(), [](const auto& runner) {
        return runner->check().state() == health::CheckState::up;
    });
    if (up && !told_up_) {
        told_up_ = true;
        patient_until_ = BootClock::now();  // it serves: from now on everything counts
        events_.all_up();
    }
}

void HealthService::tell(const health::CheckSpec& spec, const health::Check& check) {
    health::Source source;
    source.name = source_name(spec.name);
    source.begun_at = check.begun_at();
    if (check.state() == health::CheckState::down) {
        source.demotion = spec.weight;
        source.reason = source.name + ": " + check.text();
    }
    events_.health(std::move(source));
}

std::string HealthService::trouble() const {
    for (const auto& runner : runners_) {
        if (runner->check().state() == health::CheckState::down) {
            return source_name(runner->spec().name) + ": " + runner->check().text();
        }
    }
    return {};
}

std::vector<control::CheckStatus> HealthService::status() const {
    std::vector<control::CheckStatus> list;
    for (const auto& runner : runners_) {
        const health::CheckSpec& spec = runner->spec();
        control::CheckStatus& to = list.emplace_back();
        to.name = spec.name;
        to.kind = std::string(health::kind_of(spec.probe));
        to.state = state_of(*runner);
        to.weight = spec.weight;
        to.fatal = spec.weight >= health::fatal_demotion;
        to.output = runner->check().text();
        if (runner->check().since() != long_ago) to.since = wall(runner->check().since());
        to.flaps = runner->check().flaps(BootClock::now());
    }
    return list;
}

}  // namespace hamr::daemon
