// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "election/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <tl/expected.hpp>

// Frames as bytes, and back: docs/protocol.md, rules W1 to W11.
//
// Contract: big-endian, fixed layout, one way to write each frame. Whatever decode() accepts,
// encode() turns into the same bytes; whatever valid() accepts survives the round trip. Every
// length and count is checked before anything is allocated for it. Nothing here knows about keys:
// election/auth.hpp puts the tag behind these bytes, and verifies it before it calls decode().
//
// Limits: max_frame_bytes. Pure; no state.

namespace hamr::election {

/// Which key made a frame's tag: a 32-bit hash of the key's name in the key file.
using KeyId = Strong<struct KeyIdTag, std::uint32_t>;

/// What can be read of a frame before its tag has been verified. Magic, version and length are
/// checked by read_header() and so are not repeated here.
struct Header {
    KeyId key;
    ClusterId cluster;

    friend bool operator==(const Header&, const Header&) = default;
};

inline constexpr std::uint32_t wire_magic = 0x48414d52;  // "HAMR"
inline constexpr std::uint8_t wire_version = 1;

inline constexpr std::size_t header_bytes = 20;
inline constexpr std::size_t node_bytes = 40;  ///< the fixed part behind the header
inline constexpr std::size_t voter_bytes = 4;
inline constexpr std::size_t echo_bytes = 24;
inline constexpr std::size_t group_bytes = 49;
inline constexpr std::size_t ask_bytes = 17;
inline constexpr std::size_t answer_bytes = 13;

inline constexpr std::size_t min_frame_bytes = header_bytes + node_bytes + voter_bytes;
inline constexpr std::size_t max_frame_bytes = header_bytes + node_bytes + max_nodes * voter_bytes +
                                               max_echoes * echo_bytes + max_groups * group_bytes +
                                               ask_bytes + answer_bytes;
static_assert(max_frame_bytes < 32 * 1024);

/// Whether the frame keeps rules W6 to W11: what decode() refuses, and encode() must not be given.
[[nodiscard]] bool valid(const Frame& frame);

/// Header and body, without a tag. The frame must be valid(): one that every peer would refuse is a
/// broken invariant of its sender.
[[nodiscard]] std::vector<std::byte> encode(const Frame& frame, KeyId key = {});

/// The same into `out`, whose memory is used again; its former contents are gone.
void encode_into(const Frame& frame, KeyId key, std::vector<std::byte>& out);

/// Reads the header of `bytes`, which must be a whole frame without its tag (W1 to W5). Safe on
/// bytes from anybody; the only error is DropReason::malformed.
[[nodiscard]] tl::expected<Header, DropReason> read_header(Bytes bytes);

/// The frame in `bytes` (header and body, no tag). The only error is DropReason::malformed. The
/// cluster is returned, not compared.
[[nodiscard]] tl::expected<Frame, DropReason> decode(Bytes bytes);

}  // namespace hamr::election
