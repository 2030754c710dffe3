// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flow_wire.hpp"

#include "base/prng.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Rules F1, F2, F6 to F12 and F20 of docs/protocol.md, as far as they are about bytes.

namespace hamr::router {
namespace {

using Buffer = std::vector<std::byte>;

Buffer from_hex(std::string_view text) {
    Buffer bytes;
    std::string digits;
    for (const char c : text) {
        if (c != ' ') digits += c;
    }
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

Flow v4_flow() {
    return {{*Endpoint::parse("192.0.2.50:40000"), *Endpoint::parse("192.0.2.100:6446")},
            TcpState::established,
            {}};
}

Flow v6_flow() {
    Flow flow{{*Endpoint::parse("[2001:db8::50]:40000"), *Endpoint::parse("[2001:db8::100]:6446")},
              TcpState::close_wait,
              {}};
    flow.translation = Translation{*Endpoint::parse("[2001:db8::21]:3306"),
                                   *Endpoint::parse("[2001:db8::100]:50000"),
                                   432'000,
                                   {7, 14},
                                   {0x0b, 0x03}};
    return flow;
}

BackendOrder v4_order() {
    return {*Endpoint::parse("192.0.2.22:3306"), true, 3, "router1"};
}

std::vector<FlowMessage> samples() {
    AddFlows full{3, {}};
    for (std::size_t i = 0; i < max_flows_in_message; ++i) full.flows.push_back(v6_flow());
    TellOrders many{false, {}};
    while (many.orders.size() < max_orders_in_message) {
        many.orders.push_back({*Endpoint::parse("[2001:db8::21]:3306"), true, max_order_counter,
                               std::string(max_order_node, 'r')});
    }
    return {
        FlowHello{1, 0x1122334455667788},
        SnapshotBegin{1, 70'000},
        SnapshotEnd{2},
        AddFlows{3, {v4_flow(), v6_flow()}},
        full,
        RemoveFlows{4, {v4_flow().id, v6_flow().id}},
        TakenOver{5, {*IpAddress::parse("192.0.2.100"), *IpAddress::parse("2001:db8::100")}},
        FlowPing{0},
        FlowPing{77},
        FlowAck{0xffffffffffffffff},
        TellOrders{true, {v4_order(), {*Endpoint::parse("[2001:db8::21]:3306"), false, 2, "b"}}},
        many};
}

TEST(FlowWireTest, every_message_survives_the_way) {
    for (const FlowMessage& message : samples()) {
        const auto bytes = encode(message);
        EXPECT_LE(bytes.size(), max_flow_message_bytes);
        const auto read = decode_flow_message(bytes);
        ASSERT_TRUE(read) << "type " << message.index();
        EXPECT_EQ(*read, message) << "type " << message.index();
    }
}

/// The example of docs/protocol.md.
TEST(FlowWireTest, the_example_of_the_protocol_is_true) {
    EXPECT_EQ(encode(AddFlows{7, {v4_flow()}}),
              from_hex("04 0000000000000007 0001 04 03 00 00 c0000232 9c40 c0000264 192e"));
    EXPECT_EQ(encode(RemoveFlows{8, {v4_flow().id}}),
              from_hex("05 0000000000000008 0001 04 00 c0000232 9c40 c0000264 192e"));
    EXPECT_EQ(encode(TellOrders{true, {v4_order()}}),
              from_hex("09 01 0001 04 01 0000000000000003 c0000216 0cea 07 726f7574657231"));
}

TEST(FlowWireTest, what_is_cut_short_or_too_long_is_refused) {
    for (const FlowMessage& message : samples()) {
        auto bytes = encode(message);
        const std::size_t step = bytes.size() > 500 ? 97 : 1;
        for (std::size_t size = 0; size < bytes.size(); size += step) {
            EXPECT_FALSE(decode_flow_message(Bytes(bytes).first(size))) << size;
        }
        bytes.push_back(std::byte{0});
        EXPECT_FALSE(decode_flow_message(bytes));
    }
    EXPECT_FALSE(decode_flow_message(Buffer(max_flow_message_bytes + 1)));
}

struct Hostile {
    const char* name;
    const char* hex;
};

TEST(FlowWireTest, hostile_messages_are_refused) {
    const Hostile rows[] = {
        {"nothing", ""},
        {"type 0", "00 0000000000000001"},
        {"type 10", "0a 0000000000000001"},
        {"protocol 0", "01 0000 0000000000000001"},
        {"boot 0", "01 0001 0000000000000000"},
        {"sequence 0", "03 0000000000000000"},
        {"no flows", "04 0000000000000001 0000"},
        {"more flows than bytes", "04 0000000000000001 0200"},
        {"too many flows", "04 0000000000000001 ffff"},
        {"family 5", "04 0000000000000001 0001 05 03 00 00 c0000232 9c40 c0000264 192e"},
        {"state 0", "04 0000000000000001 0001 04 00 00 00 c0000232 9c40 c0000264 192e"},
        {"state 10", "04 0000000000000001 0001 04 0a 00 00 c0000232 9c40 c0000264 192e"},
        {"unknown flag", "04 0000000000000001 0001 04 03 02 00 c0000232 9c40 c0000264 192e"},
        {"reserved", "04 0000000000000001 0001 04 03 00 01 c0000232 9c40 c0000264 192e"},
        {"port 0", "04 0000000000000001 0001 04 03 00 00 c0000232 0000 c0000264 192e"},
        {"client 0.0.0.0", "04 0000000000000001 0001 04 03 00 00 00000000 9c40 c0000264 192e"},
        {"multicast", "04 0000000000000001 0001 04 03 00 00 e0000001 9c40 c0000264 192e"},
        {"broadcast", "04 0000000000000001 0001 04 03 00 00 ffffffff 9c40 c0000264 192e"},
        {"translation missing", "04 0000000000000001 0001 04 03 01 00 c0000232 9c40 c0000264 192e"},
        {"window scale 15",
         "04 0000000000000001 0001 04 03 01 00 c0000232 9c40 c0000264 192e c0000215 0cea c0000264 "
         "c350 00000001 0f 00 00 00"},
        {"no removals", "05 0000000000000001 0000"},
        {"removal with a reserved byte",
         "05 0000000000000001 0001 04 01 c0000232 9c40 c0000264 192e"},
        {"no addresses", "06 0000000000000001 0000"},
        {"too many addresses", "06 0000000000000001 0401"},
        {"no orders", "09 01 0000"},
        {"too many orders", "09 01 0101"},
        {"neither heard nor standing",
         "09 02 0001 04 01 0000000000000003 c0000216 0cea 07 726f7574657231"},
        {"neither drain nor undrain",
         "09 01 0001 04 02 0000000000000003 c0000216 0cea 07 726f7574657231"},
        {"an order's counter 0",
         "09 01 0001 04 01 0000000000000000 c0000216 0cea 07 726f7574657231"},
        {"an order's counter beyond the end",
         "09 01 0001 04 01 4000000000000001 c0000216 0cea 07 726f7574657231"},
        {"an order's port 0", "09 01 0001 04 01 0000000000000003 c0000216 0000 07 726f7574657231"},
        {"an order of nobody", "09 01 0001 04 01 0000000000000003 c0000216 0cea 00"},
        {"a name with a line end",
         "09 01 0001 04 01 0000000000000003 c0000216 0cea 07 726f7574650a31"},
        {"half a name", "09 01 0001 04 01 0000000000000003 c0000216 0cea 07 726f75"},
        {"half an address", "06 0000000000000001 0001 06 20010db8"},
    };
    for (const Hostile& row : rows) {
        EXPECT_FALSE(decode_flow_message(from_hex(row.hex))) << row.name;
    }
}

/// What is accepted is written back as the same bytes: each message has one form.
TEST(FlowWireTest, changed_bytes_are_refused_or_say_what_they_say) {
    Prng draw(42);
    for (const FlowMessage& message : samples()) {
        const auto good = encode(message);
        for (int i = 0; i < 2000; ++i) {
            auto bytes = good;
            const std::size_t area = std::min<std::size_t>(bytes.size(), 200);
            const auto changes = 1 + draw.below(3);
            for (std::uint64_t n = 0; n < changes; ++n) {
                bytes[draw.below(area)] = static_cast<std::byte>(draw.below(256));
            }
            const auto read = decode_flow_message(bytes);
            if (read) {
                EXPECT_EQ(encode(*read), bytes);
            }
        }
    }
}

TEST(FlowWireTest, random_bytes_are_survived) {
    Prng draw(43);
    for (int i = 0; i < 20'000; ++i) {
        Buffer bytes(draw.below(120));
        for (std::byte& b : bytes) b = static_cast<std::byte>(draw.below(256));
        if (!bytes.empty()) bytes[0] = static_cast<std::byte>(1 + draw.below(9));
        const auto read = decode_flow_message(bytes);
        if (read) {
            EXPECT_EQ(encode(*read), bytes);
        }
        (void)decode_greeting(bytes);
    }
}

TEST(FlowWireTest, a_greeting_survives_the_way_and_nothing_else_is_one) {
    FlowGreeting greeting;
    greeting.key = 1;
    greeting.from = 2;
    greeting.to = 3;
    greeting.nonce.fill(std::byte{0xaa});
    greeting.tag.fill(std::byte{0xbb});
    const auto bytes = encode_greeting(greeting);
    ASSERT_EQ(bytes.size(), flow_greeting_bytes);
    EXPECT_EQ(decode_greeting(bytes), greeting);
    EXPECT_EQ(Buffer(bytes.end() - 16, bytes.end()), Buffer(16, std::byte{0xbb}));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(decode_greeting(Bytes(bytes).first(size)));
    }
    for (std::size_t at = 0; at < 12; ++at) {
        auto other = bytes;
        other[at] ^= std::byte{1};
        EXPECT_FALSE(decode_greeting(other)) << "magic, version and reserved bytes, " << at;
    }
}

TEST(FlowWireTest, numbered_messages_are_those_that_change_something) {
    for (const FlowMessage& message : samples()) {
        const bool plain = std::holds_alternative<FlowHello>(message) ||
                           std::holds_alternative<FlowPing>(message) ||
                           std::holds_alternative<FlowAck>(message) ||
                           std::holds_alternative<TellOrders>(message);
        EXPECT_EQ(sequence_of(message).has_value(), !plain) << message.index();
    }
}

}  // namespace
}  // namespace hamr::router
