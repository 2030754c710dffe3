// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "router/flows.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// When the clients of a former leader are tickled (docs/protocol.md F12): who is foreign in the
// table when this node begins to lead, at once and several times more until 15 s later, since a
// socket answers one in 500 ms, and some clients have not learned the new way yet. Who has answered
// is not foreign any more; who has not by then is gone, and is forgotten.
//
// Threading One thread, the executor's. Callbacks come from the executor and from inside begin()
//           and late().

namespace hamr::router_io {

class TickleRounds {
  public:
    struct Events {
        std::function<void(const std::string& text)> log;
        /// To be sent now. `far`: with the other of the two made-up numbers.
        std::function<void(std::vector<router::FlowId> flows, bool far)> tickle;
        /// The rounds of this group begin, or begin again.
        std::function<void(std::size_t group)> begun;
        /// Its foreign flows have been dropped from the table.
        std::function<void(std::size_t group)> over;
    };

    /// `table` stays there until stop().
    TickleRounds(const boost::asio::any_io_executor& executor, router::FlowTable& table,
                 std::size_t groups, Events events);
    TickleRounds(const TickleRounds&) = delete;
    TickleRounds& operator=(const TickleRounds&) = delete;
    /// As stop().
    ~TickleRounds();

    /// All rounds, the first one now; also when some of them are over.
    void begin(std::size_t group);
    /// These turned out to be foreign after the takeover: they are tickled now, and where the
    /// rounds of a led group are over, all but the first follow again.
    void late(const std::vector<router::FlowId>& flows);
    /// This node leads that group no more.
    void end(std::size_t group);
    void stop();

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
