// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Recorded Ethernet frames: pcap with nanoseconds, which tcpdump reads too.

namespace labtool {

inline constexpr std::uint32_t pcap_magic = 0xa1b23c4d;

struct PcapHeader {
    std::uint32_t magic = pcap_magic;
    std::uint16_t major = 2;
    std::uint16_t minor = 4;
    std::uint32_t zone = 0;
    std::uint32_t accuracy = 0;
    std::uint32_t longest = 65535;
    std::uint32_t link = 1;
};

struct PcapRecord {
    std::uint32_t seconds;
    std::uint32_t nanoseconds;
    std::uint32_t stored;
    std::uint32_t length;
};

/// A file of capture-frames.
[[nodiscard]] hamr::Result<std::vector<std::vector<std::uint8_t>>> read_pcap(
    const std::string& file);

}  // namespace labtool
