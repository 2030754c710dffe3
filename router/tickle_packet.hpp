// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/net/address.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

// A tickle: the packet that makes the client of a dead leader speak (RFC 9293, 3.10.7.4: a segment
// outside of the window is answered with an acknowledgement that carries the true numbers).
// Pure: bytes only.

namespace hamr::router {

/// The made-up sequence number and window of every tickle. Two tickles whose sequence numbers are
/// half the number space apart cannot both lie in a client's window. With the window they tell our
/// tickles from other packets, for the rule that keeps them out of connection tracking.
inline constexpr std::uint32_t tickle_sequence = 0x48414d52;
inline constexpr std::uint32_t tickle_sequence_far = tickle_sequence ^ 0x80000000;
inline constexpr std::uint16_t tickle_window = 0x4852;

struct TicklePacket {
    std::array<std::byte, 60> bytes{};
    std::size_t size = 0;

    [[nodiscard]] Bytes view() const { return Bytes(bytes).first(size); }
};

/// A TCP acknowledgement from `vip` to `client` without data, with its IP header; both are of one
/// family. `far` takes the other sequence number.
[[nodiscard]] TicklePacket tickle_packet(const Endpoint& vip, const Endpoint& client, bool far);

}  // namespace hamr::router
