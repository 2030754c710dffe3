// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/flows.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// Sends tickles (router/tickle_packet.hpp): as the VIP, to clients whose connections ended on
// another host. Each answers with its true numbers, and this host's kernel, which has no such
// connection, resets it. A client that has a living connection here just answers: nothing happens.
//
// How       Raw IP from a socket bound to the VIP: the kernel routes, resolves neighbours and asks
//           the gate as for every packet of the address. 64 packets a call, 512 a turn of the loop;
//           what the kernel has no room for waits until it has.
// Needs     CAP_NET_RAW.
// Threading One thread, the executor's; the network namespace of the thread that calls.

namespace hamr::router_io {

class Tickler {
  public:
    explicit Tickler(boost::asio::any_io_executor executor);
    Tickler(const Tickler&) = delete;
    Tickler& operator=(const Tickler&) = delete;
    ~Tickler();

    /// All of them soon, in this order, after those that still wait. At most 400,000 wait.
    void send(const std::vector<router::FlowId>& flows, bool far);
    /// What waits is not sent.
    void stop();

    [[nodiscard]] bool idle() const;
    [[nodiscard]] std::uint64_t sent() const;
    /// Refused by the kernel: no way there, or the gate was shut.
    [[nodiscard]] std::uint64_t unsent() const;
    /// Why the newest one was refused.
    [[nodiscard]] std::string reason() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
