// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/assert.hpp"

#include <array>
#include <cstdint>

// xoshiro256** (Blackman, Vigna), seeded through splitmix64. A value: copy it, pass it in. Its
// bounded integers are its own, since the standard's distributions do not replay across libraries.

namespace hamr {

class Prng {
  public:
    constexpr explicit Prng(std::uint64_t seed) {
        for (auto& word : state_) {
            seed += 0x9e3779b97f4a7c15ULL;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
            word = z ^ (z >> 31);
        }
    }

    constexpr std::uint64_t next() {
        const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = rotate(state_[3], 45);
        return result;
    }

    /// Uniform in [0, bound); bound must be positive. Rejection, so without bias.
    constexpr std::uint64_t below(std::uint64_t bound) {
        HAMR_ASSERT(bound > 0);
        const std::uint64_t limit = bound * (UINT64_MAX / bound);
        std::uint64_t draw = next();
        while (draw >= limit) draw = next();
        return draw % bound;
    }

    /// Uniform in [low, high], both included.
    constexpr std::int64_t between(std::int64_t low, std::int64_t high) {
        HAMR_ASSERT(low <= high);
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high) -
                                                     static_cast<std::uint64_t>(low) + 1));
    }

    /// True in `numerator` of `denominator` draws.
    constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) {
        return below(denominator) < numerator;
    }

  private:
    static constexpr std::uint64_t rotate(std::uint64_t x, int k) {
        return (x << k) | (x >> (64 - k));
    }

    std::array<std::uint64_t, 4> state_{};
};

}  // namespace hamr
