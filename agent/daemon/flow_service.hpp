// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "agent/daemon/inputs.hpp"
#include "router/io/flow_sync.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

// The flows of this host's router, known to the peers.
//
// Supervised  Whoever leads next resets the clients of the one before; and they are ended here once
//             another host leads, since nothing that this host still says for them would leave it,
//             while the router behind would hold its sessions and their locks.
// Embedded    They are in the peers' kernels, and live on with whoever leads next; but for those of
//             this host's own sockets that have the address themselves.
//
// Threading: the work loop.

namespace hamr::daemon {

class FlowService {
  public:
    using Trouble = std::function<void(const std::string& key, const std::string& what,
                                       const std::string& remedy)>;
    /// Flows of the group were reset because of their backend.
    using Reset = std::function<void(const std::string& group, const std::string& text)>;

    /// What a peer knows of drained backends; `standing`: its rules are made by it.
    using Orders = std::function<void(
        const std::string& peer, const std::vector<router::BackendOrder>& orders, bool standing)>;

    FlowService(boost::asio::io_context& io, const Inputs& inputs, Trouble trouble,
                Orders orders = {}, Reset reset = {});

    Result<> start();
    /// Ends the streams and takes the rules away. Blocks for as long as `nft` takes.
    void stop();

    /// This node leads the group, and is about to announce its addresses.
    void led(const std::string& group);
    /// This node has announced the group's addresses.
    void announced(const std::string& group);
    /// This node leads the group no more.
    void left(const std::string& group);
    /// Another node leads it.
    void led_by_other(const std::string& group);

    /// Embedded: which flows may go on; those that must not are reset, by the leader.
    void judge(std::vector<router::Standing> standings) { sync_.judge(std::move(standings)); }

    /// Flows through the addresses that end here, or run through here.
    [[nodiscard]] std::uint64_t flows() const { return sync_.status().own; }
    [[nodiscard]] control::FlowsStatus status() const;
    /// How many flows go through each of these backends.
    void count(std::vector<control::BackendStatus>& backends) const;

    /// What this node knows of drained backends, for the peers.
    void tell_orders(const std::vector<router::BackendOrder>& orders, bool standing) {
        sync_.tell_orders(orders, standing);
    }
    [[nodiscard]] std::vector<router_io::FlowPeerStatus> peers() const { return sync_.peers(); }

  private:
    [[nodiscard]] std::optional<std::size_t> index_of(const std::string& group) const;

    const config::Config& config_;
    bool embedded_;
    Trouble trouble_;
    router_io::FlowSync sync_;
};

}  // namespace hamr::daemon
