// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/addresses.hpp"

#include "agent/config/reader.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace hamr::config {

namespace {

bool is_link_local(const IpAddress& address) {
    const auto& bytes = address.bytes();
    return !address.is_v4() && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/// Why an address cannot be a host's or a VIP; "" when it can.
std::string_view unusable(const IpAddress& address) {
    if (address.is_unspecified()) return "is the unspecified address";
    if (address.is_loopback()) return "is a loopback address, which no other host can reach";
    if (address.is_multicast()) return "is a multicast or reserved address";
    return {};
}

/// Whether all host bits are `bit`: the network's own or its broadcast address.
bool host_bits_are(const IpPrefix& prefix, bool bit) {
    for (int i = prefix.length; i < prefix.address.bits(); ++i) {
        const std::uint8_t byte = prefix.address.bytes()[static_cast<std::size_t>(i / 8)];
        if (((byte >> (7 - i % 8)) & 1) != (bit ? 1 : 0)) return false;
    }
    return true;
}

std::string said(std::string_view path, const std::string& text) {
    return std::string(path) + ": \"" + text + "\" ";
}

/// NAME:PORT, which is never looked up: "" when `text` is nothing like it.
std::string why_no_name(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return {};
    const std::string_view name = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool host = std::all_of(name.begin(), name.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
    });
    const bool letters = std::any_of(name.begin(), name.end(), [](char c) {
        return std::isalpha(static_cast<unsigned char>(c)) != 0;
    });
    if (!host || !letters || port.find_first_not_of("0123456789") != std::string_view::npos) {
        return {};
    }
    const std::string_view address = name == "localhost" ? "127.0.0.1" : "192.0.2.21";
    return "names its host, and names are not resolved; write its numeric address, as in " +
           std::string(address) + ":" + std::string(port);
}

}  // namespace

void AddressBook::report_taken(const IpAddress& address, const std::string& owner, Place place,
                               const Entry& first) {
    report_.problem(place, address.to_string() + " of " + owner + " is already the address of " +
                               first.owner + " (line " + std::to_string(first.place.line) +
                               "); give each its own");
}

void AddressBook::add(const IpAddress& address, const std::string& owner, Place place) {
    const auto [entry, added] = entries_.emplace(address, Entry{owner, place});
    if (!added) report_taken(address, owner, place, entry->second);
}

void AddressBook::expect_no_vip(const IpAddress& address, const std::string& owner, Place place) {
    const auto entry = entries_.find(address);
    if (entry != entries_.end() && entry->second.owner.starts_with("group ")) {
        report_taken(address, owner, place, entry->second);
    }
}

std::optional<IpAddress> read_address(Report& report, const Value& value, std::string_view path) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    const auto address = IpAddress::parse(*text);
    if (!address) {
        const bool prefix = IpPrefix::parse(*text).has_value();
        report.problem(
            value.place,
            said(path, *text) + (prefix ? "has a prefix length, which only a VIP has; leave it out"
                                        : "is not an IPv4 or IPv6 address; names are not resolved, "
                                          "write the address"));
        return std::nullopt;
    }
    std::string_view why = unusable(*address);
    if (is_link_local(*address)) why = "is a link-local address, which names no host by itself";
    if (!why.empty()) {
        report.problem(value.place, said(path, *text) + std::string(why) +
                                        "; write an address that the other hosts reach");
        return std::nullopt;
    }
    return address;
}

std::optional<IpPrefix> read_vip(Report& report, const Value& value, std::string_view path,
                                 bool link_local) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    if (const auto bare = IpAddress::parse(*text)) {
        report.problem(value.place, said(path, *text) +
                                        "has no prefix length; write that of its network, as in " +
                                        *text + (bare->is_v4() ? "/24" : "/64"));
        return std::nullopt;
    }
    const auto prefix = IpPrefix::parse(*text);
    std::string_view why;
    if (!prefix) {
        why = "is not ADDRESS/LENGTH, as in 192.0.2.100/24";
    } else if (prefix->length == 0) {
        why = "has the prefix length 0; write that of its network";
    } else if (why = unusable(prefix->address); !why.empty()) {
        report.problem(value.place, said(path, *text) + std::string(why) + "; it cannot be a VIP");
        return std::nullopt;
    } else if (is_link_local(prefix->address) && !link_local) {
        why = "is link-local: say on which `interface` it lives";
    } else if (prefix->address.is_v4() && prefix->length < 31 &&
               (host_bits_are(*prefix, false) || host_bits_are(*prefix, true))) {
        why = "is the network's own or its broadcast address; choose a host's address";
    }
    if (!why.empty()) {
        report.problem(value.place, said(path, *text) + std::string(why));
        return std::nullopt;
    }
    return prefix;
}

std::optional<Endpoint> read_endpoint(Report& report, const Value& value, std::string_view path) {
    if (value.kind == Value::Kind::list) {
        report.problem(value.place, std::string(path) +
                                        ": a list where ADDRESS:PORT is expected; quote an IPv6 "
                                        "address: \"[2001:db8::21]:3306\"");
        return std::nullopt;
    }
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    const auto endpoint = Endpoint::parse(*text);
    if (!endpoint) {
        std::string remedy =
            "is not ADDRESS:PORT with a numeric address, as in 192.0.2.21:3306 or "
            "\"[2001:db8::21]:3306\"";
        if (const auto bare = IpAddress::parse(*text)) {
            remedy = bare->is_v4() ? "has no port; write " + Endpoint{*bare, 3306}.to_string()
                                   : "is an IPv6 address; with a port it is written as in "
                                     "\"[2001:db8::21]:3306\"";
        } else if (const std::string name = why_no_name(*text); !name.empty()) {
            remedy = name;
        }
        report.problem(value.place, said(path, *text) + remedy);
        return std::nullopt;
    }
    if (endpoint->address.is_unspecified() || endpoint->address.is_multicast()) {
        report.problem(value.place, said(path, *text) + "is not the address of a server");
        return std::nullopt;
    }
    return endpoint;
}

}  // namespace hamr::config
