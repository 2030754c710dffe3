// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/network.hpp"

namespace hamr::sim {

Network::Network(std::size_t hosts, int paths)
    : hosts_(hosts), paths_(paths), directions_(hosts * hosts * static_cast<std::size_t>(paths)) {
    HAMR_ASSERT(paths >= 1 && paths <= max_paths);
}

std::size_t Network::index(std::size_t from, std::size_t to, int path) const {
    return (from * hosts_ + to) * static_cast<std::size_t>(paths_) + static_cast<std::size_t>(path);
}

void Network::cut(std::size_t from, std::size_t to, bool is_cut, int path) {
    for (int p = 0; p < paths_; ++p) {
        if (path == -1 || path == p) directions_[index(from, to, p)].cut = is_cut;
    }
}

void Network::heal_all() {
    for (Direction& direction : directions_) direction.cut = false;
}

bool Network::is_cut(std::size_t from, std::size_t to, int path) const {
    return directions_[index(from, to, path)].cut;
}

std::vector<RealTime> Network::arrivals(RealTime now, std::size_t from, std::size_t to, int path,
                                        Prng& prng) {
    Direction& direction = directions_[index(from, to, path)];
    const auto permille = [&prng](int of) {
        return of > 0 && prng.chance(static_cast<std::uint64_t>(of), 1000);
    };
    std::vector<RealTime> result;
    if (direction.cut || permille(weather.loss_permille)) return result;
    const int copies = permille(weather.duplicate_permille) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
        Duration delay = weather.delay_min;
        if (weather.delay_max > weather.delay_min) {
            delay = Duration{prng.between(weather.delay_min.count(), weather.delay_max.count())};
        }
        RealTime arrival = now + delay;
        if (!weather.reorder) arrival = std::max(arrival, direction.last);
        direction.last = std::max(direction.last, arrival);
        result.push_back(arrival);
    }
    return result;
}

}  // namespace hamr::sim
