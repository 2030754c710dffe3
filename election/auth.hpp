// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "election/frame.hpp"
#include "election/wire.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

// Authentication of frames: docs/protocol.md, rules A1 to A5.
//
// A datagram is a frame's bytes (election/wire.hpp) and a 16-byte tag over all of them: keyed
// BLAKE2b with a key derived from the key file's for this purpose alone. 128 bits are what a forger
// has to guess online, one datagram per guess; a longer tag would only make each frame longer.
//
// Contract: nothing of a datagram is parsed beyond the fixed header before its tag is verified.
// Replay is not decided here: the core knows boots and sequences.
//
// Threading: const calls from anywhere; a Keyring is not changed after its construction. Key
// material is wiped when it goes. Memory: some 400 bytes per key.

namespace hamr::election {

inline constexpr std::size_t key_bytes = 32;
inline constexpr std::size_t tag_bytes = 16;
inline constexpr std::size_t max_datagram_bytes = max_frame_bytes + tag_bytes;

/// One line of the key file.
struct Key {
    std::string id;
    std::array<std::byte, key_bytes> bytes{};
};

/// The 32 bits of a key's name that frames carry.
[[nodiscard]] KeyId key_id(std::string_view name);

/// What a key of the file may be used for. Each use has its own derived key (A2), so that nothing
/// made for one is ever valid for another. The numbers are part of the protocol.
enum class KeyUse : std::uint64_t {
    frames = 1,  ///< tags of heartbeat frames
    flows = 2,   ///< the encrypted stream of flows
};

/// The key for one use, by crypto_kdf with the context "HAMRkeys". The caller wipes it.
[[nodiscard]] std::array<std::byte, key_bytes> derive_key(const Key& key, KeyUse use);

/// The keys of a node: the first signs, all verify. That is what rotation needs (A3).
class Keyring {
  public:
    /// At least one key; initialises libsodium.
    explicit Keyring(std::vector<Key> keys);
    ~Keyring();
    Keyring(Keyring&&) noexcept;
    Keyring& operator=(Keyring&&) noexcept;
    Keyring(const Keyring&) = delete;
    Keyring& operator=(const Keyring&) = delete;

    /// The frame as a datagram, made with the first key. The frame must be valid().
    [[nodiscard]] std::vector<std::byte> seal(const Frame& frame) const;
    /// The same into `out`, whose memory is used again.
    void seal_into(const Frame& frame, std::vector<std::byte>& out) const;

    /// The frame in a datagram from anybody. Errors, in the order in which they are looked for:
    /// malformed (size, magic, version), wrong_cluster, bad_signature, malformed (contents).
    [[nodiscard]] tl::expected<Frame, DropReason> open(Bytes datagram, ClusterId cluster) const;

  private:
    struct Entry;
    std::vector<Entry> entries_;
};

}  // namespace hamr::election
