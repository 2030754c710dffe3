// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "router/backend_orders.hpp"
#include "router/flows.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

// The stream of flows as bytes: docs/protocol.md, rules F. Pure; what a decoder accepts, the
// encoder writes back as the same bytes. Everything is big-endian and bounded. A decoder returns
// nothing for what breaks a rule: the stream that brought it ends.

namespace hamr::router {

/// What a hello says. Nodes of protocol 1 end a connection whose hello says more; who is of 2 shows
/// it by an ack of 0 after its hello (F19).
inline constexpr std::uint16_t flow_protocol = 1;
inline constexpr std::uint16_t newest_flow_protocol = 2;
inline constexpr std::size_t max_flows_in_message = 512;
inline constexpr std::size_t max_vips_in_message = 1024;
inline constexpr std::size_t max_orders_in_message = 256;
/// The largest is a message of 512 translated IPv6 flows.
inline constexpr std::size_t max_flow_message_bytes = 48 * 1024;

// Before the encryption (F1 to F4) ----------------------------------------------------------------

/// The connecting node's first words, and the accepting node's answer: one layout.
struct FlowGreeting {
    std::uint64_t key = 0;   ///< which key, by a hash of its name
    std::uint64_t from = 0;  ///< the speaker, by a hash of its name
    std::uint64_t to = 0;
    std::array<std::byte, 32> nonce{};
    std::array<std::byte, 16> tag{};

    friend bool operator==(const FlowGreeting&, const FlowGreeting&) = default;
};
inline constexpr std::size_t flow_greeting_bytes = 84;
/// What the tag covers: all before it.
inline constexpr std::size_t flow_greeting_signed_bytes = 68;

[[nodiscard]] std::vector<std::byte> encode_greeting(const FlowGreeting& greeting);
[[nodiscard]] std::optional<FlowGreeting> decode_greeting(Bytes bytes);

// Messages (F5 to F12) ----------------------------------------------------------------------------

/// First in each direction.
struct FlowHello {
    std::uint16_t protocol = flow_protocol;
    std::uint64_t boot = 0;  ///< drawn at the sender's start

    friend bool operator==(const FlowHello&, const FlowHello&) = default;
};
struct SnapshotBegin {
    std::uint64_t sequence = 0;
    std::uint32_t flows = 0;  ///< about how many follow

    friend bool operator==(const SnapshotBegin&, const SnapshotBegin&) = default;
};
struct SnapshotEnd {
    std::uint64_t sequence = 0;

    friend bool operator==(const SnapshotEnd&, const SnapshotEnd&) = default;
};
struct AddFlows {
    std::uint64_t sequence = 0;
    std::vector<Flow> flows;

    friend bool operator==(const AddFlows&, const AddFlows&) = default;
};
struct RemoveFlows {
    std::uint64_t sequence = 0;
    std::vector<FlowId> flows;

    friend bool operator==(const RemoveFlows&, const RemoveFlows&) = default;
};
/// The sender leads these addresses and has reset the clients of others.
struct TakenOver {
    std::uint64_t sequence = 0;
    std::vector<IpAddress> vips;

    friend bool operator==(const TakenOver&, const TakenOver&) = default;
};
/// Nothing new, still there.
struct FlowPing {
    std::uint64_t sequence = 0;

    friend bool operator==(const FlowPing&, const FlowPing&) = default;
};
/// All up to this sequence of the receiver's has been taken in.
struct FlowAck {
    std::uint64_t sequence = 0;

    friend bool operator==(const FlowAck&, const FlowAck&) = default;
};

/// Which backends get nothing new, as the sender knows it (F20). To nodes of protocol 2 only.
struct TellOrders {
    bool standing = false;  ///< the sender's rules are made by these
    std::vector<BackendOrder> orders;

    friend bool operator==(const TellOrders&, const TellOrders&) = default;
};

using FlowMessage = std::variant<FlowHello, SnapshotBegin, SnapshotEnd, AddFlows, RemoveFlows,
                                 TakenOver, FlowPing, FlowAck, TellOrders>;

/// At most max_flows_in_message flows, max_vips_in_message addresses, max_orders_in_message orders.
[[nodiscard]] std::vector<std::byte> encode(const FlowMessage& message);
[[nodiscard]] std::optional<FlowMessage> decode_flow_message(Bytes bytes);

/// The sequence number of a numbered message (F7); nothing for others.
[[nodiscard]] std::optional<std::uint64_t> sequence_of(const FlowMessage& message);

}  // namespace hamr::router
