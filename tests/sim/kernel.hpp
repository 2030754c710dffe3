// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "vip/links.hpp"

#include <cstddef>
#include <vector>

// One host's interface and addresses, as its kernel has them. Like the gate it outlives the agent:
// an address stays until somebody takes it off or the host loses its power.
//
// It follows vip/io/netlink.hpp: adding what is there, or removing what is not, is success; an
// interface that goes down loses its IPv6 addresses, and one that comes up has its own again.

namespace hamr::sim {

inline constexpr vip::InterfaceIndex lan{2};

/// Of the h-th host, IPv4 and IPv6: what its configuration calls its own addresses.
[[nodiscard]] std::vector<IpPrefix> host_addresses(std::size_t h);
/// Of the g-th group.
[[nodiscard]] std::vector<IpPrefix> group_addresses(std::size_t g, bool ipv6);
[[nodiscard]] MacAddress host_mac(std::size_t h);

class Kernel {
  public:
    explicit Kernel(std::size_t h);

    [[nodiscard]] Result<> add(const IpPrefix& prefix);
    [[nodiscard]] Result<> remove(const IpPrefix& prefix);
    /// The administrator's wish, and the cable.
    void link(bool up, bool carrier);
    /// Only what the configuration of the host itself brings is there again.
    void power_cut();

    [[nodiscard]] bool has(const IpAddress& address) const;
    /// Frames get out and in.
    [[nodiscard]] bool carries() const { return seen_.up && seen_.carrier; }
    [[nodiscard]] bool up() const { return seen_.up; }

    /// All that there is, as netlink tells it.
    [[nodiscard]] std::vector<vip::KernelEvent> snapshot() const;
    /// What has changed since the last call.
    [[nodiscard]] std::vector<vip::KernelEvent> take_news();

  private:
    std::vector<IpPrefix> own_;
    std::vector<IpPrefix> addresses_;
    vip::LinkSeen seen_;
    std::vector<vip::KernelEvent> news_;
};

}  // namespace hamr::sim
