// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

// One check's memory: results in, transitions out.
//
//            first result decides
//   unknown ----------------------> up or down
//   up   -- `fall` failures in a row --> down
//   down -- `rise` successes in a row --> up
//
// Damping. A check that goes down again within `damping` of an earlier fall is flapping: each such
// fall doubles the `rise` that it needs, up to eightfold and to max_rise results, so that a host
// which comes and goes does not take leadership back and forth. Going down is never delayed. All is
// forgiven once `damping` has passed since the last fall: no rise is delayed longer than that.
//
// Pure: time is passed in, nothing is probed here. A check that has not answered yet is unknown,
// which its verdict counts as demoted (health/verdict.hpp).

namespace hamr::health {

enum class CheckState : std::uint8_t { unknown, up, down };

[[nodiscard]] const char* to_string(CheckState state);

struct CheckConfig {
    std::string name;
    /// Results in a row that turn the check; both at least 1.
    unsigned rise = 2;
    unsigned fall = 2;
    /// Falls closer together than this are flapping; 0 switches damping off.
    Duration damping = std::chrono::minutes(5);
};

/// Damping asks for no more good results in a row than this (or than `rise`, if that is more).
inline constexpr unsigned max_rise = 60;

struct Transition {
    CheckState from = CheckState::unknown;
    CheckState to = CheckState::unknown;
    /// "mysql failed 2 times in a row: timed out after 300 ms"
    std::string reason;
};

class Check {
  public:
    explicit Check(CheckConfig config);

    /// A result that came at `now` from a probe that began at `begun_at`. A result that began
    /// before the newest one known (two probes that overtook each other) is ignored.
    [[nodiscard]] std::optional<Transition> observe(BootTime now, bool ok, BootTime begun_at,
                                                    std::string text);

    [[nodiscard]] const std::string& name() const { return config_.name; }
    [[nodiscard]] CheckState state() const { return state_; }
    /// The last result's words, whatever the state.
    [[nodiscard]] const std::string& text() const { return text_; }
    /// When the newest probe that bears out the state began; long_ago while unknown.
    [[nodiscard]] BootTime begun_at() const { return begun_at_; }
    /// Since when the state is what it is; long_ago while unknown.
    [[nodiscard]] BootTime since() const { return since_; }
    /// How many falls followed an earlier one too closely and still count for the damping.
    [[nodiscard]] unsigned flaps(BootTime now) const;
    /// Good results in a row that would turn it up now.
    [[nodiscard]] unsigned rise_needed(BootTime now) const;

  private:
    void fell(BootTime now);

    CheckConfig config_;
    CheckState state_ = CheckState::unknown;
    std::string text_;
    BootTime begun_at_ = long_ago;
    BootTime newest_ = long_ago;
    BootTime since_ = long_ago;
    BootTime fell_at_ = long_ago;
    unsigned against_ = 0;
    unsigned flaps_ = 0;
};

}  // namespace hamr::health
