// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/strong.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the kernel says about interfaces and addresses, as plain values, and the picture of the host
// that they add up to. vip/io/netlink.hpp produces the events; nothing here asks the kernel.

namespace hamr::vip {

struct InterfaceTag;
/// The kernel's interface number. It is not reused while the host is up, except after 2^31 of them.
using InterfaceIndex = Strong<InterfaceTag, int>;

/// An interface appeared or changed. `up` is the administrator's wish (IFF_UP), `carrier` the
/// link's own state (IFF_LOWER_UP).
struct LinkSeen {
    InterfaceIndex index;
    std::string name;
    MacAddress mac;
    bool up = false;
    bool carrier = false;
    bool loopback = false;

    friend bool operator==(const LinkSeen&, const LinkSeen&) = default;
};

struct LinkGone {
    InterfaceIndex index;
    friend bool operator==(const LinkGone&, const LinkGone&) = default;
};

struct AddressSeen {
    InterfaceIndex index;
    IpPrefix prefix;
    friend bool operator==(const AddressSeen&, const AddressSeen&) = default;
};

struct AddressGone {
    InterfaceIndex index;
    IpPrefix prefix;
    friend bool operator==(const AddressGone&, const AddressGone&) = default;
};

/// Between these two every interface and address that exists is told once; what is not told is
/// gone.
struct SnapshotBegin {
    friend bool operator==(const SnapshotBegin&, const SnapshotBegin&) = default;
};
struct SnapshotEnd {
    friend bool operator==(const SnapshotEnd&, const SnapshotEnd&) = default;
};

/// Somebody changed queueing disciplines or filters of an interface: the gate may be gone.
struct TrafficControlChanged {
    InterfaceIndex index;
    friend bool operator==(const TrafficControlChanged&, const TrafficControlChanged&) = default;
};

using KernelEvent = std::variant<LinkSeen, LinkGone, AddressSeen, AddressGone, SnapshotBegin,
                                 SnapshotEnd, TrafficControlChanged>;

/// For logs and tests: "link eth0 (2) up, carrier, 02:…", "address 192.0.2.1/24 on 2", ….
[[nodiscard]] std::string to_string(const KernelEvent& event);

/// The host's interfaces and addresses.
class Links {
  public:
    struct Link {
        LinkSeen seen;
        std::vector<IpPrefix> addresses;  // in the order told

        [[nodiscard]] bool has(const IpPrefix& prefix) const;
    };

    void apply(const KernelEvent& event);

    /// Whether a first snapshot has ended. Before that, absence means nothing.
    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] const std::map<InterfaceIndex, Link>& all() const { return links_; }
    [[nodiscard]] const Link* find(InterfaceIndex index) const;
    [[nodiscard]] const Link* find(std::string_view name) const;
    /// Whether one of this host's interfaces has this Ethernet address.
    [[nodiscard]] bool is_local(const MacAddress& mac) const;

  private:
    void apply_one(const LinkSeen& event);
    void apply_one(const LinkGone& event);
    void apply_one(const AddressSeen& event);
    void apply_one(const AddressGone& event);
    void apply_one(const SnapshotBegin&);
    void apply_one(const SnapshotEnd&);
    void apply_one(const TrafficControlChanged&) {}

    std::map<InterfaceIndex, Link> links_;
    std::map<InterfaceIndex, Link> told_;  // during a snapshot: what has been told of so far
    bool in_snapshot_ = false;
    bool complete_ = false;
};

}  // namespace hamr::vip
