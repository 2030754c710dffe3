// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Addresses as values: no sockets, no name resolution, numeric text only.

namespace hamr {

enum class Family : std::uint8_t { ipv4, ipv6 };

/// A numeric IPv4 or IPv6 address. IPv4 uses the first four bytes, the rest is zero.
class IpAddress {
  public:
    constexpr IpAddress() = default;
    static IpAddress v4(std::array<std::uint8_t, 4> bytes);
    static IpAddress v6(std::array<std::uint8_t, 16> bytes);
    /// "192.0.2.1" or "2001:db8::1"; nothing else (no brackets, no zone, no name).
    static std::optional<IpAddress> parse(std::string_view text);

    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] bool is_v4() const { return family_ == Family::ipv4; }
    /// Network order; 4 significant bytes for IPv4, 16 for IPv6.
    [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    [[nodiscard]] int bits() const { return is_v4() ? 32 : 128; }
    [[nodiscard]] std::string to_string() const;

    /// 0.0.0.0, ::, multicast, loopback and broadcast cannot be a VIP, a node or a backend's way.
    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] bool is_multicast() const;

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  private:
    Family family_ = Family::ipv4;
    std::array<std::uint8_t, 16> bytes_{};
};

/// An address with its prefix length, as on an interface: 192.0.2.100/24.
struct IpPrefix {
    IpAddress address;
    int length = 0;

    /// "192.0.2.100/24". A missing length is not accepted here: the caller decides what it means.
    static std::optional<IpPrefix> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    /// Whether `other` lies in the same network.
    [[nodiscard]] bool contains(const IpAddress& other) const;

    friend auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

/// An address and port: "192.0.2.21:3306" or "[2001:db8::21]:3306".
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    static std::optional<Endpoint> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// An Ethernet address, printed as 02:00:5e:00:53:01.
struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    static std::optional<MacAddress> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    static constexpr MacAddress broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }

    friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace hamr
