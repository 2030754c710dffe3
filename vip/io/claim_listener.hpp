// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "vip/frames.hpp"
#include "vip/links.hpp"

#include <functional>
#include <memory>
#include <span>

#include <boost/asio/any_io_executor.hpp>

// Hears who else says that an address is his: ARP frames on one interface whose sender, and
// neighbour advertisements whose target, is one of the addresses given. A socket filter in the
// kernel (classic BPF) compares their last four bytes, so that other traffic, however much, does
// not wake the program.
//
// Contract. The callback gets claims of foreign and of this host's own Ethernet addresses alike (a
// switch may reflect ours): Plan::claim() tells them apart. Threading: the executor given to
// open(). Limits: 300 addresses; at most `frames_per_wake` frames are read before the loop gets its
// turn; ND behind IPv6 extension headers is not heard (RFC 6980 wants it ignored). Needs
// CAP_NET_RAW. Closing waits for an RCU grace period in the kernel: milliseconds, so not in the
// middle of a lease.

namespace hamr::vip {

class ClaimListener {
  public:
    using OnClaim = std::function<void(InterfaceIndex, const Claim&)>;
    static constexpr int frames_per_wake = 32;
    static constexpr std::size_t most_addresses = 300;

    static Result<ClaimListener> open(const boost::asio::any_io_executor& executor,
                                      InterfaceIndex index, std::span<const IpAddress> addresses,
                                      OnClaim on_claim);
    ClaimListener(ClaimListener&&) noexcept;
    ClaimListener& operator=(ClaimListener&&) noexcept;
    ~ClaimListener();

  private:
    struct Ear;
    struct Shared;
    explicit ClaimListener(std::shared_ptr<Shared> shared);
    std::shared_ptr<Shared> shared_;
};

}  // namespace hamr::vip
