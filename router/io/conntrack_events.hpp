// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "router/flows.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// The TCP connections to the VIPs, as the kernel's connection tracking tells them: a dump of what
// is there, and every change from then on.
//
// Needs     A rule that uses conntrack in this network namespace (router::render_tracking), with
//           nf_conntrack_events=1 set before it; CAP_NET_ADMIN.
// Contract  Events come while a dump runs; what a dump says may be older than they are
//           (router::FlowTable knows). When the kernel had more events than its buffer (16 MiB)
//           could hold, everything is dumped again. Never are more than 256 events, or one buffer
//           of a dump, handled at once.
// Many      Each reading wakes this program up, which costs more than the event. Above 1,000 events
//           a second it rests between readings, up to 20 ms at 20,000: a connection that has ended
//           by then costs nothing more.
// Threading One thread, the executor's; acts on the network namespace of the thread that calls
//           start(). Callbacks come from the executor, never from inside a call.

namespace hamr::router_io {

class ConntrackEvents {
  public:
    struct Events {
        std::function<void(const router::Flow&, router::Heard)> heard;
        std::function<void(const router::FlowId&)> gone;
        std::function<void()> begin_dump;
        std::function<void()> end_dump;
        /// Empty: it works again.
        std::function<void(const std::string& what)> trouble;
    };

    /// `buffer` is in bytes, of the kernel's memory, and only used up when this side is slow.
    ConntrackEvents(boost::asio::any_io_executor executor, std::vector<IpAddress> vips,
                    Events events, int buffer = 16 * 1024 * 1024);
    ConntrackEvents(const ConntrackEvents&) = delete;
    ConntrackEvents& operator=(const ConntrackEvents&) = delete;
    ~ConntrackEvents();

    /// not_supported: the kernel has no conntrack over netlink; operation_not_permitted.
    Result<> start();
    void stop();
    /// Dumps everything again: after the rules were put back, say.
    void resync();
    /// How often the kernel had more events than could be read.
    [[nodiscard]] std::uint64_t missed() const;
    /// The event that is told now happened after this moment.
    [[nodiscard]] BootTime since() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
