// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "vip/plan.hpp"

// Sends whole Ethernet frames on any interface: the announcements.
//
// The frames pass the interface's queueing discipline and with it the gate at tc egress
// (PACKET_QDISC_BYPASS is never set), so an announcement that is late for its lease is dropped by
// the kernel. The socket receives nothing, and sending never blocks. Needs CAP_NET_RAW. Threading:
// none of its own; one thread uses it.

namespace hamr::vip {

class PacketSocket {
  public:
    /// Uses the network namespace of the calling thread.
    static Result<PacketSocket> open();

    /// ENOBUFS: dropped on its way out, by the shut gate or a full queue; ENETDOWN: the interface
    /// is down; ENXIO: there is none.
    Result<> send(InterfaceIndex index, Bytes frame);

    /// All frames of the announcement; the first error, but every frame is tried.
    Result<> send(const Announce& announce, bool router = false);

  private:
    explicit PacketSocket(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace hamr::vip
