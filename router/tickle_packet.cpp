// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/tickle_packet.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace hamr::router {

namespace {

constexpr std::size_t tcp_bytes = 20;
constexpr std::uint8_t tcp_protocol = 6;
constexpr std::uint8_t hops = 64;
constexpr std::uint16_t dont_fragment = 0x4000;
constexpr std::uint16_t five_words_ack = 0x5010;  // header length and the flag ACK

class Packet {
  public:
    explicit Packet(TicklePacket& out) : out_(out) {}

    void put8(std::uint8_t value) { out_.bytes[out_.size++] = static_cast<std::byte>(value); }
    void put16(std::uint16_t value) {
        put8(static_cast<std::uint8_t>(value >> 8));
        put8(static_cast<std::uint8_t>(value & 0xff));
    }
    void put32(std::uint32_t value) {
        put16(static_cast<std::uint16_t>(value >> 16));
        put16(static_cast<std::uint16_t>(value & 0xffff));
    }
    void put(const IpAddress& address) {
        const std::size_t count = address.is_v4() ? 4 : 16;
        for (std::size_t i = 0; i < count; ++i) put8(address.bytes()[i]);
    }
    void patch16(std::size_t at, std::uint16_t value) {
        out_.bytes[at] = static_cast<std::byte>(value >> 8);
        out_.bytes[at + 1] = static_cast<std::byte>(value & 0xff);
    }

  private:
    TicklePacket& out_;
};

std::uint32_t sum(Bytes bytes) {
    std::uint32_t total = 0;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        total +=
            std::to_integer<std::uint32_t>(bytes[i]) << 8 | std::to_integer<unsigned>(bytes[i + 1]);
    }
    return total;
}

std::uint32_t sum(const IpAddress& address) {
    const auto raw = std::as_bytes(std::span(address.bytes()));
    return sum(raw.first(address.is_v4() ? 4 : 16));
}

std::uint16_t fold(std::uint32_t total) {
    while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
    return static_cast<std::uint16_t>(~total);
}

void put_ip_header(Packet& packet, const Endpoint& vip, const Endpoint& client) {
    if (vip.address.is_v4()) {
        packet.put16(0x4500);
        packet.put16(20 + tcp_bytes);
        packet.put16(1);  // 0 would make the kernel choose one
        packet.put16(dont_fragment);
        packet.put8(hops);
        packet.put8(tcp_protocol);
        packet.put16(0);  // the kernel fills the checksum in
    } else {
        packet.put32(0x60000000);
        packet.put16(tcp_bytes);
        packet.put8(tcp_protocol);
        packet.put8(hops);
    }
    packet.put(vip.address);
    packet.put(client.address);
}

}  // namespace

TicklePacket tickle_packet(const Endpoint& vip, const Endpoint& client, bool far) {
    HAMR_ASSERT(vip.address.family() == client.address.family());
    TicklePacket made;
    Packet packet(made);
    put_ip_header(packet, vip, client);
    const std::size_t tcp = made.size;
    packet.put16(vip.port);
    packet.put16(client.port);
    const std::uint32_t sequence = far ? tickle_sequence_far : tickle_sequence;
    packet.put32(sequence);
    packet.put32(sequence);
    packet.put16(five_words_ack);
    packet.put16(tickle_window);
    packet.put16(0);
    packet.put16(0);
    const std::uint32_t pseudo = sum(vip.address) + sum(client.address) + tcp_protocol +
                                 static_cast<std::uint32_t>(tcp_bytes);
    packet.patch16(tcp + 16, fold(pseudo + sum(made.view().subspan(tcp))));
    return made;
}

}  // namespace hamr::router
