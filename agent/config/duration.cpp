// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/duration.hpp"

#include <array>
#include <cstdint>

namespace hamr::config {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t ns;
};

constexpr std::array<Unit, 4> units{
    {{"m", 60'000'000'000}, {"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}}};
constexpr std::int64_t longest = INT64_C(100) * 24 * 3600 * 1'000'000'000;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    std::size_t at = 0;
    std::int64_t whole = 0;
    for (; at < text.size() && is_digit(text[at]); ++at) {
        whole = whole * 10 + (text[at] - '0');
        if (whole > longest) return std::nullopt;
    }
    if (at == 0) return std::nullopt;
    std::int64_t fraction = 0;
    std::int64_t scale = 1;
    if (at < text.size() && text[at] == '.') {
        const std::size_t first = ++at;
        for (; at < text.size() && is_digit(text[at]); ++at) {
            if (scale >= 1'000'000) return std::nullopt;
            fraction = fraction * 10 + (text[at] - '0');
            scale *= 10;
        }
        if (at == first) return std::nullopt;
    }
    for (const Unit& unit : units) {
        if (text.substr(at) != unit.name) continue;
        if (whole > longest / unit.ns) return std::nullopt;
        return Duration{whole * unit.ns + fraction * unit.ns / scale};
    }
    return std::nullopt;
}

std::string format_duration(Duration duration) {
    for (const Unit& unit : units) {
        if (duration.count() != 0 && duration.count() % unit.ns == 0) {
            return std::to_string(duration.count() / unit.ns) + std::string(unit.name);
        }
    }
    return duration.count() == 0 ? "0s" : std::to_string(duration.count()) + "ns";
}

}  // namespace hamr::config
