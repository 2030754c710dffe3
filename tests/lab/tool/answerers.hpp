// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/lab/tool/process.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace labtool {

/// Who has answered, by Ethernet address: how often, first and last.
class Answerers {
  public:
    void note(const std::string& mac, std::int64_t at_ns) {
        Seen& seen = macs_[mac];
        if (seen.count++ == 0) seen.first_ns = at_ns;
        seen.last_ns = at_ns;
    }

    /// {"MAC":{"count":…,"first_ns":…,"last_ns":…},…}
    [[nodiscard]] std::string json() const {
        std::string out = "{";
        for (const auto& [mac, seen] : macs_) {
            if (out.back() == '}') out += ',';
            out += quoted(mac) + ":{\"count\":" + std::to_string(seen.count) +
                   ",\"first_ns\":" + std::to_string(seen.first_ns) +
                   ",\"last_ns\":" + std::to_string(seen.last_ns) + '}';
        }
        return out + '}';
    }

  private:
    struct Seen {
        std::uint64_t count = 0;
        std::int64_t first_ns = 0;
        std::int64_t last_ns = 0;
    };
    std::map<std::string, Seen> macs_;
};

}  // namespace labtool
