// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "router/flow_wire.hpp"
#include "router/flows.hpp"
#include "router/io/flow_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

// What is said to one peer, and what it says: snapshots, changes, acknowledgements, and what is
// known of drained backends (docs/protocol.md F6 to F12, F19, F20).
//
// Slow peer 4 MiB of changes may wait. What is beyond is not said; a new snapshot follows once the
//           rest has been written, at most one a second.
// Threading One thread, that of the streams.

namespace hamr::router_io {

class FlowReplica {
  public:
    /// `node` is the peer's number in the table, `peer` in the streams.
    /// `replicas`: what is heard is acknowledged by acknowledge() only, and each snapshot names the
    /// addresses of lead().
    FlowReplica(router::FlowTable& table, FlowStreams& streams, std::size_t node, std::size_t peer,
                std::uint64_t boot, bool replicas = false);

    // The connection.
    void up(BootTime now);
    void down(BootTime now);
    void drained(BootTime now);
    /// Every half second.
    void tick(BootTime now);

    // What is said.
    void tell(const router::FlowChanges& changes, BootTime since);
    void tell_taken(const std::vector<IpAddress>& vips, BootTime now);
    /// With replicas: this node leads these addresses, and knows which flows they have: a new
    /// snapshot says so to a peer that is there, and from now on each snapshot does.
    void lead(std::vector<IpAddress> vips, BootTime now);
    /// What this node knows of drained backends: now, and at the start of each connection.
    void tell_orders(std::vector<router::BackendOrder> orders, bool standing);
    /// With replicas: acknowledges what has been heard; not before the kernel has it.
    void acknowledge();

    /// What the peer said; false when it has no place here. Flows whose clients are to be reset
    /// are added to `reset`, changes of own flows may wait in the table.
    [[nodiscard]] bool heard(const router::FlowMessage& message, std::vector<router::FlowId>& reset,
                             BootTime now);

    void fill(FlowPeerStatus& status, BootTime now) const;
    /// Since when there is no connection that the peer has agreed to.
    [[nodiscard]] std::optional<BootTime> down_since() const { return down_since_; }

  private:
    void send(const router::FlowMessage& message);
    void send_numbered(router::FlowMessage message, BootTime since);
    void begin_snapshot(BootTime now);
    void go_on(BootTime now);
    void acknowledged(std::uint64_t sequence, BootTime now);
    void say_orders();
    void hear_of_orders();
    [[nodiscard]] bool numbered(const router::FlowMessage& message,
                                std::vector<router::FlowId>& reset);

    struct Sent {
        std::uint64_t sequence = 0;
        BootTime since{};
    };
    struct Snapshot {
        std::vector<router::FlowId> flows;
        std::size_t next = 0;
    };

    router::FlowTable& table_;
    FlowStreams& streams_;
    std::size_t node_;
    std::size_t peer_;
    std::uint64_t boot_;
    bool replicas_;
    std::vector<IpAddress> led_;
    router::TellOrders orders_;

    // What is said on this connection.
    std::uint64_t last_sent_ = 0;
    std::deque<Sent> unacknowledged_;
    std::optional<Snapshot> snapshot_;
    bool behind_ = false;  ///< changes were left out: another snapshot is due
    bool again_ = false;   ///< so it is, without anything being left out
    BootTime snapshot_at_ = long_ago;
    BootTime unsynced_since_ = long_ago;
    bool synced_ = false;  ///< the newest snapshot has been acknowledged
    std::uint64_t snapshot_end_ = 0;
    Duration delay_{};

    // What is heard on it.
    bool greeted_ = false;
    bool hears_orders_ = false;
    bool in_snapshot_ = false;
    std::uint64_t last_heard_ = 0;
    std::uint64_t last_acknowledged_ = 0;

    std::optional<BootTime> down_since_;
    std::uint64_t snapshots_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

}  // namespace hamr::router_io
