// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What one seed means: the cluster, its network, and which faults it has to live through.

namespace hamr::sim {

/// What the command line fixes; everything else is drawn.
struct Overrides {
    std::optional<election::Mode> mode;
    std::optional<int> nodes;
    /// Clock rates are one of these two (in 1/10,000), whatever the protocol allows.
    std::optional<std::pair<int, int>> rates;
    /// The run ends with the faults: nothing is asked of clocks that the protocol does not allow.
    bool safety_only = false;
    /// False: the runs are those from before there were upgrades.
    bool upgrades = true;
    /// False: the runs are those from before hosts had kernels and health machines.
    bool machines = true;
    /// A fault that the protocol must not have: runs end with their faults, and only S1 is asked.
    Sabotage broken = Sabotage::nothing;
    /// See WorldOptions.
    int relive = 0;
};

/// How often each fault is drawn, relative to the others; 0: never in this run.
struct FaultMix {
    int isolate = 0;   ///< one host, both directions
    int one_way = 0;   ///< one direction of a pair
    int split = 0;     ///< the hosts fall into two halves
    int path_cut = 0;  ///< one path of everything
    int pause = 0;
    int crash = 0;
    int power_cut = 0;
    int demote = 0;
    int drain = 0;
    int failover = 0;
    int resign = 0;
    int rate = 0;      ///< a clock changes its rate
    int storm = 0;     ///< most frames are lost, or late
    int replay = 0;    ///< recorded frames are sent again
    int amnesia = 0;   ///< all restart at once; or all but a leader, which is cut off
    int sluggish = 0;  ///< alarms ring late everywhere
    int upgrade = 0;   ///< an agent goes on in a new program; drawn apart from the others
    // With machines only.
    int refuse = 0;   ///< a kernel refuses what it is asked for
    int flap = 0;     ///< a link goes down or loses its carrier, perhaps with the heartbeats' way
    int meddle = 0;   ///< somebody adds or deletes an address
    int overrun = 0;  ///< events of a kernel are lost
    int mute = 0;     ///< nobody hears a host, or it hears nobody
    int amid = 0;     ///< of 8 faults so many have a failover on their heels

    [[nodiscard]] std::vector<std::pair<const char*, int>> list() const;
};

/// What is wrong with one host for good, also when all else is healed.
enum class Lasting { nothing, refusal, no_carrier };

struct RunOptions {
    std::uint64_t seed = 1;
    int nodes = 3;
    int witnesses = 0;
    int groups = 1;
    election::Mode mode = election::Mode::majority;
    election::Timing timing;
    std::vector<std::optional<Duration>> failback;  ///< per group
    int paths = 1;
    Weather weather;
    Duration wake_latency{};
    Duration lead_latency{};
    std::vector<int> rates;
    int rate_low = 9'000;
    int rate_high = 11'000;
    bool wire = false;
    /// none mode on a network that loses nothing: gates must exclude each other (S1) there too.
    bool calm = false;
    Duration health_every{};
    Duration phase{};     ///< how long faults are injected
    Duration mean_gap{};  ///< between two of them
    FaultMix faults;
    bool safety_only = false;
    int relive = 0;           ///< see WorldOptions
    bool heal_health = true;  ///< all are fit again when faults end
    MachineOptions machines;
    Lasting lasting = Lasting::nothing;
    std::size_t lasting_host = 0;
    bool reloads = false;                          ///< members and timers change (reloads.hpp)
    std::optional<std::size_t> spare;              ///< is no member at first
    std::optional<election::Timing> other_timing;  ///< that timers change to, and back
    std::vector<int> wild_rates;                   ///< clocks beyond rho, until all is healed
    Sabotage broken = Sabotage::nothing;

    /// S1 is promised.
    [[nodiscard]] bool exclusive() const {
        return wild_rates.empty() && (mode == election::Mode::majority || calm);
    }
    [[nodiscard]] bool witness(std::size_t h) const {
        return static_cast<int>(h) >= nodes - witnesses;
    }
    [[nodiscard]] Duration slowest_lease() const {
        return std::max(lease(), other_timing.value_or(timing).lease());
    }
    [[nodiscard]] Duration lease() const { return timing.lease(); }
};

[[nodiscard]] RunOptions draw_options(std::uint64_t seed, const Overrides& overrides);
/// The network once everything is healed.
[[nodiscard]] Weather fair_weather(const RunOptions& options);
[[nodiscard]] std::string describe(const RunOptions& options);
[[nodiscard]] std::vector<HostOptions> make_hosts(const RunOptions& options, Prng& prng);

}  // namespace hamr::sim
