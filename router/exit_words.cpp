// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/exit_words.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

namespace hamr::router {

std::string in_words(Duration duration) {
    using namespace std::chrono_literals;
    const std::int64_t ms = std::max<std::int64_t>(duration / 1ms, 0);
    if (ms < 1000) return std::to_string(ms) + " ms";
    if (ms < 10'000) {
        return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
    }
    if (ms < 120'000) return std::to_string(ms / 1000) + " s";
    if (ms < 7'200'000) return std::to_string(ms / 60'000) + " min";
    if (ms < 172'800'000) return std::to_string(ms / 3'600'000) + " h";
    return std::to_string(ms / 86'400'000) + " days";
}

std::string telling_line(const std::deque<std::string>& lines) {
    static constexpr std::array<std::string_view, 8> signs = {
        "[alert]", "error", "fatal", "cannot", "can't", "failed", "denied", "not found"};
    for (const std::string& line : lines) {
        std::string low = line;
        std::transform(low.begin(), low.end(), low.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        for (const std::string_view sign : signs) {
            if (low.find(sign) != std::string::npos) return line;
        }
    }
    return lines.empty() ? "" : lines.back();
}

}  // namespace hamr::router
