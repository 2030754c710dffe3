// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sim/kernel.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace hamr::sim {

namespace {

IpPrefix prefix(const std::string& text) {
    const auto parsed = IpPrefix::parse(text);
    HAMR_ASSERT(parsed.has_value());
    return *parsed;
}

}  // namespace

std::vector<IpPrefix> host_addresses(std::size_t h) {
    const std::string number = std::to_string(h + 11);
    return {prefix("192.0.2." + number + "/24"), prefix("2001:db8::" + number + "/64")};
}

std::vector<IpPrefix> group_addresses(std::size_t g, bool ipv6) {
    const std::string number = std::to_string(g + 100);
    std::vector<IpPrefix> addresses{prefix("192.0.2." + number + "/24")};
    if (ipv6) addresses.push_back(prefix("2001:db8::" + number + "/64"));
    return addresses;
}

MacAddress host_mac(std::size_t h) {
    return {{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(h + 11)}};
}

Kernel::Kernel(std::size_t h)
    : own_(host_addresses(h)), addresses_(own_), seen_{lan, "eth0", host_mac(h), true, true} {}

bool Kernel::has(const IpAddress& address) const {
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&](const IpPrefix& there) { return there.address == address; });
}

Result<> Kernel::add(const IpPrefix& prefix) {
    if (has(prefix.address)) return {};
    if (!seen_.up && !prefix.address.is_v4()) return fail("the interface is down");
    addresses_.push_back(prefix);
    news_.emplace_back(vip::AddressSeen{lan, prefix});
    return {};
}

Result<> Kernel::remove(const IpPrefix& prefix) {
    if (std::erase(addresses_, prefix) > 0) news_.emplace_back(vip::AddressGone{lan, prefix});
    return {};
}

void Kernel::link(bool up, bool carrier) {
    if (seen_.up && !up) {
        for (const IpPrefix& there : std::vector(addresses_)) {
            if (!there.address.is_v4()) static_cast<void>(remove(there));
        }
    }
    seen_.up = up;
    seen_.carrier = up && carrier;
    news_.emplace_back(seen_);
    if (!up) return;
    for (const IpPrefix& mine : own_) static_cast<void>(add(mine));
}

void Kernel::power_cut() {
    addresses_ = own_;
    news_.clear();
}

std::vector<vip::KernelEvent> Kernel::snapshot() const {
    std::vector<vip::KernelEvent> all{vip::SnapshotBegin{}, seen_};
    for (const IpPrefix& there : addresses_) all.emplace_back(vip::AddressSeen{lan, there});
    all.emplace_back(vip::SnapshotEnd{});
    return all;
}

std::vector<vip::KernelEvent> Kernel::take_news() {
    return std::exchange(news_, {});
}

}  // namespace hamr::sim
