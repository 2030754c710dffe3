// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/flows.hpp"
#include "router/io/conntrack_table.hpp"
#include "router/io/reset_ways.hpp"
#include "router/io/tickle.hpp"
#include "router/standing.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// Resets flows whose backend is gone, has lost its role or is not configured any more, at both
// ends (docs/protocol.md, rules F21 to F23). Which ones: router/flow_ends.hpp.
//
// How       In chunks of at most 2,000, so that the first are reset while later ones are still
// being
//           named: both ways are named (reset_ways.hpp), the entries deleted, 64 a turn of the
//           loop, client and backend tickled, and once more after 600 ms. Who has sent something
//           since the entry went has been reset by that already.
// Dead      A backend whose host is gone does not answer; nobody waits for that.
// Errors    Ways that cannot be named are told once and tried again every second: without them, a
//           client would just lose its connection in silence.
// Threading One thread, the executor's. Nothing is done from inside a call but looking.

namespace hamr::router_io {

class FlowResets {
  public:
    struct Events {
        std::function<void(const std::string& text)> log;
        /// Something ends that went on before: a dump shows what is opening there (look()).
        std::function<void()> dump;
        /// For people, once for all flows of a group that ended together for one reason: "812
        /// connections to 192.0.2.21:3306 reset: …".
        std::function<void(std::size_t group, const std::string& text)> reset;
    };

    /// All that is given stays there until stop().
    FlowResets(boost::asio::any_io_executor executor, const router::FlowTable& table,
               std::vector<std::vector<IpAddress>> groups, ConntrackTable& conntrack,
               ResetWays& ways, Tickler& tickler, Events events);
    FlowResets(const FlowResets&) = delete;
    FlowResets& operator=(const FlowResets&) = delete;
    /// As stop().
    ~FlowResets();

    /// This node begins to lead the group now, or leads it no more.
    void lead(std::size_t group, bool leads);
    /// All pairs of routes and backends. Rules that send nobody new to those that end have been
    /// loaded: who connects anew at once is served.
    void judge(std::vector<router::Standing> standings);
    /// The table has taken in this flow.
    void look(const router::Flow& flow);
    /// The kernel has been told all that it was to be told of others' flows.
    void settled();
    void stop();

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
