// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/error.hpp"
#include "agent/config/tree.hpp"
#include "base/net/address.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

// Addresses as they stand in the file, and who already has which: two nodes with one address, or a
// VIP that is a host's own, break everything later and silently.

namespace hamr::config {

/// What an address is for, as messages put it: "node router1", "group default", "backend".
class AddressBook {
  public:
    explicit AddressBook(Report& report) : report_(report) {}

    /// Reports the address when someone has it already.
    void add(const IpAddress& address, const std::string& owner, Place place);
    /// Reports the address when a group has it; backends and nodes may share one.
    void expect_no_vip(const IpAddress& address, const std::string& owner, Place place);

  private:
    struct Entry {
        std::string owner;
        Place place;
    };

    void report_taken(const IpAddress& address, const std::string& owner, Place place,
                      const Entry& first);

    Report& report_;
    std::map<IpAddress, Entry> entries_;
};

/// An address that a host can have: numeric, not loopback, multicast, unspecified or link-local.
std::optional<IpAddress> read_address(Report& report, const Value& value, std::string_view path);
/// A VIP with its prefix length. `link_local` says whether fe80::/10 is usable here.
std::optional<IpPrefix> read_vip(Report& report, const Value& value, std::string_view path,
                                 bool link_local);
/// ADDRESS:PORT of a server.
std::optional<Endpoint> read_endpoint(Report& report, const Value& value, std::string_view path);

}  // namespace hamr::config
