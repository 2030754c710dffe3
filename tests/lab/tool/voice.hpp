// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "tests/lab/tool/packet.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Voices: frames by which a host speaks as a VIP, told apart by what they are, and by when the
// question was asked that they answer. A question of `ask` carries that instant itself: pings in
// their payload, SYNs as their sequence number (microseconds, modulo 2^32), which an answer brings
// back whoever has translated it on the way. So a recorder needs no table of questions.

namespace labtool {

/// The instant that a TCP sequence number of `ask` stands for.
[[nodiscard]] std::uint32_t syn_number(std::int64_t now_ns);

struct Voice {
    /// arp-request, arp-reply, garp, na, una (an unsolicited one), echo, synack, rst (answers to a
    /// SYN), syn, tcp (any other segment: one of a flow that there is already), ip (all else).
    std::string_view kind;
    bool v4 = true;
    hamr::MacAddress source;
    /// When the question was sent that this answers, CLOCK_BOOTTIME; 0: it does not tell.
    std::int64_t asked_ns = 0;
};

/// The frame as a voice of one of these addresses; nothing when it does not speak as any of them.
/// `at_ns`: when the frame was seen, not before the question was asked.
[[nodiscard]] std::optional<Voice> read_voice(Octets frame,
                                              const std::vector<hamr::IpAddress>& vips,
                                              std::int64_t at_ns);

/// Lines for a reader that follows the output: gathered, and written out at once when they are many
/// or 20 ms old.
class Lines {
  public:
    void add(std::string_view line);
    /// Writes what has waited long enough.
    void tick(std::int64_t now_ns);
    void flush();

  private:
    std::string waiting_;
    std::int64_t since_ns_ = 0;
};

}  // namespace labtool
