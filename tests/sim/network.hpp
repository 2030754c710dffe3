// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/prng.hpp"
#include "tests/sim/clock.hpp"

#include <cstddef>
#include <vector>

// The network between the hosts: for every direction of every pair and path it decides when, how
// often and whether at all a frame arrives. It holds no frames.

namespace hamr::sim {

inline constexpr int max_paths = 2;

/// What the whole network does to frames.
struct Weather {
    Duration delay_min = std::chrono::microseconds{100};
    Duration delay_max = std::chrono::microseconds{100};
    int loss_permille = 0;
    int duplicate_permille = 0;
    /// Frames may overtake one another; else each direction is first in, first out.
    bool reorder = false;
};

class Network {
  public:
    Network(std::size_t hosts, int paths);

    /// Cuts or heals one direction, on one path (or on all: path -1).
    void cut(std::size_t from, std::size_t to, bool is_cut, int path = -1);
    void heal_all();
    [[nodiscard]] bool is_cut(std::size_t from, std::size_t to, int path) const;

    [[nodiscard]] int paths() const { return paths_; }
    Weather weather;

    /// The instants at which a frame sent now arrives; none when it is lost.
    [[nodiscard]] std::vector<RealTime> arrivals(RealTime now, std::size_t from, std::size_t to,
                                                 int path, Prng& prng);

  private:
    struct Direction {
        bool cut = false;
        RealTime last{};
    };
    [[nodiscard]] std::size_t index(std::size_t from, std::size_t to, int path) const;

    std::size_t hosts_;
    int paths_;
    std::vector<Direction> directions_;
};

}  // namespace hamr::sim
