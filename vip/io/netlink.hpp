// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "vip/links.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include <boost/asio/any_io_executor.hpp>

// Addresses and links of this network namespace, over one rtnetlink socket.
//
// Contract. After open() a first snapshot comes, then every change, as batches of events in the
// kernel's order. Requests are carried out in order and end with one completion each. Requests and
// events share one socket, so what a request did to an IPv4 address is told before its completion
// (the kernel adds IPv6 addresses in a worker: their event may come a moment after it). When the
// kernel says that events were lost (ENOBUFS), the requests under way end with an error and a new
// snapshot follows.
//
// Threading. Everything is called on, and calls back on, the executor given to open(). The socket
// itself is served by one private thread, because the kernel carries a request out inside
// sendmsg(), and continues a dump inside recvmsg(), under a lock (RTNL) that anybody on the host
// may hold for tens of milliseconds: the pulse loop must not wait for that. Open it after the
// scheduling class of the calling thread has been set: the thread inherits it. All signals are
// blocked there.
//
// Limits. Destroying it drops completions that are still to come, and waits for the request in
// hand.

namespace hamr::vip {

class Netlink {
  public:
    using OnEvents = std::function<void(std::span<const KernelEvent>)>;
    using Completion = std::function<void(Result<>)>;

    /// Uses the network namespace of the calling thread.
    static Result<std::unique_ptr<Netlink>> open(boost::asio::any_io_executor executor,
                                                 OnEvents on_events);
    ~Netlink();
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;

    /// An address that is there already is success.
    void add_address(InterfaceIndex index, const IpPrefix& prefix, Completion completion);
    /// An address, or an interface, that is not there is success.
    void remove_address(InterfaceIndex index, const IpPrefix& prefix, Completion completion);
    /// Asks for a new snapshot.
    void refresh();
    /// How often the kernel said that events were lost.
    [[nodiscard]] std::uint64_t overflows() const;

  private:
    class Worker;
    explicit Netlink(std::unique_ptr<Worker> worker);
    std::unique_ptr<Worker> worker_;
};

}  // namespace hamr::vip
