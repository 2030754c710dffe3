// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "router/flow_wire.hpp"
#include "router/io/flow_sync.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Who is at the other end of a stream of flows, and the encryption of what is said there:
// docs/protocol.md, rules F1 to F5. libsodium, no sockets.
//
// Both sides give 32 fresh random bytes, and each proves that it knows the key and has seen the
// other's: what was recorded of an earlier connection fits no later one. The session's keys come
// from the key, both names and both greetings; each direction has its own.
// Threading: none of its own. Key material is wiped when it goes.

namespace hamr::router_io {

inline constexpr std::size_t flow_proof_bytes = 16;
inline constexpr std::size_t flow_header_bytes = 24;
/// What encryption adds to a message.
inline constexpr std::size_t flow_seal_bytes = 17;

/// How a node's name is written in greetings.
[[nodiscard]] std::uint64_t flow_node_hash(std::string_view name);

/// The encryption of both directions of one connection.
class FlowCipher {
  public:
    using Secret = std::array<std::byte, 32>;

    FlowCipher(const Secret& sending, const Secret& receiving);
    ~FlowCipher();
    FlowCipher(FlowCipher&&) noexcept;
    FlowCipher& operator=(FlowCipher&&) noexcept;

    /// What the peer needs first.
    [[nodiscard]] const std::array<std::byte, flow_header_bytes>& header() const;
    /// The peer's header; false when it is none.
    [[nodiscard]] bool begin(Bytes header);
    /// Appends the encrypted message to `out`.
    void seal(Bytes message, std::vector<std::byte>& out);
    /// The message, or nothing when it was not made by the peer in just this place. Valid until the
    /// next call.
    [[nodiscard]] std::optional<Bytes> open(Bytes sealed);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The keys of this node and its name.
class FlowKeys {
  public:
    /// At least one key.
    FlowKeys(std::string self, std::vector<FlowKey> keys);
    ~FlowKeys();
    FlowKeys(const FlowKeys&) = delete;
    FlowKeys& operator=(const FlowKeys&) = delete;

    /// The connecting node's first words, made with the first key.
    [[nodiscard]] std::vector<std::byte> greet(const std::string& peer) const;
    /// Whether a greeting names this node and was made with a key of ours.
    [[nodiscard]] bool knows(const router::FlowGreeting& greeting) const;
    /// The accepting node's answer to such a greeting.
    [[nodiscard]] std::vector<std::byte> answer(Bytes greeting) const;

    /// The connecting node's side, when the answer is genuine: the proof to send, and the cipher.
    struct Agreed {
        std::array<std::byte, flow_proof_bytes> proof{};
        FlowCipher cipher;
    };
    [[nodiscard]] std::optional<Agreed> agree(const std::string& peer, Bytes greeting,
                                              Bytes answer) const;
    /// The accepting node's side, when the proof is genuine.
    [[nodiscard]] std::optional<FlowCipher> accept(const std::string& peer, Bytes greeting,
                                                   Bytes answer, Bytes proof) const;

  private:
    struct Key {
        std::uint64_t id = 0;
        std::array<std::byte, 32> bytes{};
    };
    [[nodiscard]] const Key* find(const router::FlowGreeting& greeting, std::uint8_t label,
                                  std::initializer_list<Bytes> parts) const;

    std::string self_;
    std::vector<Key> keys_;
};

}  // namespace hamr::router_io
