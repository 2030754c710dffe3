// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/check.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace hamr::health {

const char* to_string(CheckState state) {
    switch (state) {
        case CheckState::unknown:
            return "unknown";
        case CheckState::up:
            return "up";
        case CheckState::down:
            return "down";
    }
    return "?";
}

Check::Check(CheckConfig config) : config_(std::move(config)) {
    HAMR_ASSERT(config_.rise > 0 && config_.fall > 0);
}

unsigned Check::flaps(BootTime now) const {
    return now - fell_at_ < config_.damping ? flaps_ : 0;
}

unsigned Check::rise_needed(BootTime now) const {
    constexpr unsigned most_doublings = 3;
    const unsigned factor = 1U << std::min(flaps(now), most_doublings);
    const unsigned most = std::max(max_rise, config_.rise);
    return config_.rise > most / factor ? most : config_.rise * factor;
}

void Check::fell(BootTime now) {
    const bool again = now - fell_at_ < config_.damping;
    if (!again) {
        flaps_ = 0;
    } else if (flaps_ < std::numeric_limits<unsigned>::max()) {
        ++flaps_;
    }
    fell_at_ = now;
}

std::optional<Transition> Check::observe(BootTime now, bool ok, BootTime begun_at,
                                         std::string text) {
    if (begun_at < newest_) return std::nullopt;
    newest_ = begun_at;
    text_ = std::move(text);

    const CheckState says = ok ? CheckState::up : CheckState::down;
    if (says == state_) {
        against_ = 0;
        begun_at_ = begun_at;
        return std::nullopt;
    }
    ++against_;
    const unsigned needed =
        state_ == CheckState::unknown ? 1 : (ok ? rise_needed(now) : config_.fall);
    if (against_ < needed) return std::nullopt;

    Transition transition{state_, says, config_.name + (ok ? " succeeded" : " failed")};
    if (against_ > 1) transition.reason += " " + std::to_string(against_) + " times in a row";
    if (ok && flaps(now) > 0) transition.reason += " (it flaps: more were needed than usual)";
    if (!text_.empty()) transition.reason += ": " + text_;
    if (state_ == CheckState::up) fell(now);
    state_ = says;
    since_ = now;
    begun_at_ = begun_at;
    against_ = 0;
    return transition;
}

}  // namespace hamr::health
