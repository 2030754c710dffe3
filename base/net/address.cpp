// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/net/address.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <arpa/inet.h>

namespace hamr {

namespace {

template <class T>
std::optional<T> parse_number(std::string_view text, T low, T high) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (value < low || value > high) return std::nullopt;
    return value;
}

}  // namespace

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
    IpAddress address;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) {
    IpAddress address;
    address.family_ = Family::ipv6;
    address.bytes_ = bytes;
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string copy(text);
    if (copy.find('\0') != std::string::npos) return std::nullopt;
    std::array<std::uint8_t, 4> four{};
    if (::inet_pton(AF_INET, copy.c_str(), four.data()) == 1) return v4(four);
    std::array<std::uint8_t, 16> sixteen{};
    if (::inet_pton(AF_INET6, copy.c_str(), sixteen.data()) == 1) return v6(sixteen);
    return std::nullopt;
}

std::string IpAddress::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
    return text.data();
}

bool IpAddress::is_unspecified() const {
    return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
    if (is_v4()) return bytes_[0] == 127;
    return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; }) &&
           bytes_[15] == 1;
}

bool IpAddress::is_multicast() const {
    if (!is_v4()) return bytes_[0] == 0xff;
    return bytes_[0] >= 224;  // multicast, reserved and the limited broadcast
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    const auto length = parse_number<int>(text.substr(slash + 1), 0, address->bits());
    if (!length) return std::nullopt;
    return IpPrefix{*address, *length};
}

std::string IpPrefix::to_string() const {
    return address.to_string() + "/" + std::to_string(length);
}

bool IpPrefix::contains(const IpAddress& other) const {
    if (other.family() != address.family()) return false;
    for (int bit = 0; bit < length; bit += 8) {
        const auto index = static_cast<std::size_t>(bit / 8);
        const int significant = std::min(8, length - bit);
        const auto mask = static_cast<std::uint8_t>(0xff << (8 - significant));
        if ((address.bytes()[index] & mask) != (other.bytes()[index] & mask)) return false;
    }
    return true;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const auto address = IpAddress::parse(host);
    if (!address || address->is_v4() == bracketed) return std::nullopt;
    const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 1, 65535);
    if (!port) return std::nullopt;
    return Endpoint{*address, *port};
}

std::string Endpoint::to_string() const {
    const std::string host =
        address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
    return host + ":" + std::to_string(port);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress mac;
    if (text.size() != 17) return std::nullopt;
    for (std::size_t i = 0; i < 6; ++i) {
        const std::string_view pair = text.substr(i * 3, 2);
        const auto [end, error] = std::from_chars(pair.data(), pair.data() + 2, mac.bytes[i], 16);
        if (error != std::errc{} || end != pair.data() + 2) return std::nullopt;
        if (i < 5 && text[i * 3 + 2] != ':') return std::nullopt;
    }
    return mac;
}

std::string MacAddress::to_string() const {
    std::array<char, 18> text{};
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                  bytes[2], bytes[3], bytes[4], bytes[5]);
    return text.data();
}

}  // namespace hamr
