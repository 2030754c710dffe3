// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "router/flow_wire.hpp"
#include "router/io/flow_stream_link.hpp"
#include "router/io/flow_sync.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// The streams of flows between this router host and its peers: one TCP connection for each pair of
// nodes, both ways, on the heartbeat's port (docs/protocol.md, rules F).
//
// Who       connects: the node whose name comes first, from its own addresses to those of the peer,
//           one after the other; again after 100 ms at first, 2 s at most.
// Attackers Only the peers' addresses may connect; 16 handshakes at once, 4 from one address, 2 s
//           each, the oldest goes; nothing is allocated for what they say. All is counted.
// Slow peer What waits for one is the caller's to bound: queued().
// Threading One thread, the executor's; callbacks come from it, never from inside a call.

namespace hamr::router_io {

struct FlowStreamConfig {
    std::string self;
    std::vector<Endpoint> own;
    std::vector<FlowPeer> peers;
    std::vector<FlowKey> keys;
    Duration silence = std::chrono::seconds(3);  ///< a peer that says nothing for so long is gone
};

class FlowStreams {
  public:
    /// A peer is its number in the configuration.
    struct Events {
        std::function<void(std::size_t peer)> up;
        std::function<void(std::size_t peer, const std::string& why)> down;
        /// False ends the connection: the message was out of place.
        std::function<bool(std::size_t peer, const router::FlowMessage&)> heard;
        std::function<void(std::size_t peer)> drained;
    };

    FlowStreams(boost::asio::any_io_executor executor, FlowStreamConfig config, Events events);
    FlowStreams(const FlowStreams&) = delete;
    FlowStreams& operator=(const FlowStreams&) = delete;
    ~FlowStreams();

    /// Fails when an address cannot be bound.
    Result<> start();
    void stop();

    [[nodiscard]] bool is_up(std::size_t peer) const;
    /// Without a connection: nothing.
    void send(std::size_t peer, FlowBytes message);
    [[nodiscard]] std::size_t queued(std::size_t peer) const;
    /// Whether this node is the one that connects.
    [[nodiscard]] bool connects(std::size_t peer) const;
    /// Why there is no connection, when that is known.
    [[nodiscard]] std::string reason(std::size_t peer) const;
    [[nodiscard]] FlowDrops drops() const;
    /// Where it listens: useful when port 0 was asked for.
    [[nodiscard]] std::vector<Endpoint> listening() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
