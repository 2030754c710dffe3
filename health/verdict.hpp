// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// May this host serve? Several sources (checks, the router, the link) each give a demotion and a
// reason; together they make one verdict, which the election compares between nodes. 0 is fully
// healthy; the larger number is worse. Pure values, no threads.

namespace hamr::health {

/// What a source weighs that has not spoken yet: worse than any single named weakness.
inline constexpr std::uint32_t unknown_demotion = 10'000;
/// What a check weighs that must not fail at all.
inline constexpr std::uint32_t fatal_demotion = 1'000'000;

/// One opinion.
struct Source {
    std::string name;
    std::uint32_t demotion = 0;
    /// Why, when it is not 0: "no carrier on eth0".
    std::string reason;
    /// When the check behind this opinion began.
    BootTime begun_at = long_ago;
    /// The cause is this host's own, so that another host will not have it: act at once.
    bool urgent = false;
    /// Told at every change (a link, a process), so that it is always as new as now.
    bool live = false;

    friend bool operator==(const Source&, const Source&) = default;
};

struct Verdict {
    /// The sum of all demotions, saturated.
    std::uint32_t demotion = 0;
    /// All reasons, the heaviest first, joined by "; ". Empty when healthy.
    std::string reason;
    /// When the oldest check that the verdict rests on began.
    BootTime begun_at = long_ago;
    /// Some cause is this host's own.
    bool urgent = false;

    friend bool operator==(const Verdict&, const Verdict&) = default;
};

[[nodiscard]] Verdict combine(std::span<const Source> sources);

/// The sources of one host. Those that are declared and have not spoken count as demoted.
class Sources {
  public:
    /// Expects to hear from `name`; until then it weighs unknown_demotion.
    void declare(std::string name);
    /// The newest opinion of source.name, declared or not.
    void set(Source source);
    /// Live sources are as new as `now`. Before each verdict().
    void refresh(BootTime now);
    /// Forgets a source (a check that a new configuration no longer has).
    void remove(std::string_view name);

    /// With no source at all: healthy, and as old as can be.
    [[nodiscard]] Verdict verdict() const { return combine(sources_); }
    [[nodiscard]] const std::vector<Source>& all() const { return sources_; }

  private:
    std::vector<Source> sources_;
};

}  // namespace hamr::health
