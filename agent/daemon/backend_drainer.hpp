// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "router/backend_orders.hpp"
#include "router/io/flow_sync.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

// `hamr backend drain` and `undrain` with the embedded router: an order is kept in a file before
// anything else happens, made into rules here, and told to every router host, which does the same
// and says when its rules follow it (docs/protocol.md, F19, F20). So it holds on whichever node
// leads next, and survives restarts and reboots.
//
// The command is answered once the rules of this node and of all connected peers follow the order,
// after 2 s at most; who has not said so by then, or is not connected, is named.
// Threading: the work loop.

namespace hamr::daemon {

class BackendDrainer {
  public:
    /// What it needs of the rest of the agent.
    struct Hands {
        /// Nothing new to these backends, to all others again. The rules may take a moment.
        std::function<void(const std::set<Endpoint>& draining)> apply;
        /// Whether the kernel routes by all that is known.
        std::function<bool()> settled;
        /// To the peers.
        std::function<void(const std::vector<router::BackendOrder>& orders, bool standing)> tell;
        std::function<std::vector<router_io::FlowPeerStatus>()> peers;
        /// How many flows go through a backend.
        std::function<std::uint64_t(const Endpoint& backend)> flows;
        /// Routes that lead nowhere because of drained backends.
        std::function<std::vector<std::string>()> drained_routes;
        std::function<void(const std::string& what)> log;
        /// Trouble with the file; empty: over.
        std::function<void(const std::string& what, const std::string& remedy)> trouble;
    };
    using Done = std::function<void(control::BackendAnswer)>;

    static constexpr Duration longest_wait = std::chrono::seconds{2};

    /// `self`: this node's name; `backends`: those of the configuration.
    BackendDrainer(boost::asio::io_context& io, std::string file, std::string self,
                   std::vector<Endpoint> backends, Hands hands);

    /// Reads the file and applies what it says. A damaged one is trouble, no failure.
    void start();
    /// Answers what waits.
    void stop();

    void order(const control::BackendRequest& request, Done done);
    /// What a peer says.
    void heard(const std::string& peer, const std::vector<router::BackendOrder>& orders,
               bool standing);
    /// Hands::settled() has become true.
    void settled();

  private:
    struct Waiting {
        Endpoint backend;
        bool draining = false;
        std::string message;
        BootTime until = never;
        Done done;
    };
    /// Who follows an order, by what is known.
    struct Followers {
        std::vector<std::string> confirmed;
        std::vector<std::string> waited_for;
        std::vector<std::string> notes;  ///< of others
    };

    void changed();
    void save();
    void look();
    void look_later();
    [[nodiscard]] bool finish(const Waiting& waiting);
    [[nodiscard]] Followers followers(const router::BackendOrder& order) const;
    [[nodiscard]] std::string words(const Endpoint& backend, bool draining, bool news) const;

    boost::asio::steady_timer timer_;
    std::string file_;
    std::vector<Endpoint> backends_;
    Hands hands_;
    router::BackendOrders orders_;
    bool standing_ = false;  ///< the peers have been told that the rules follow
    std::map<std::string, std::map<Endpoint, router::BackendOrder>> confirmed_;  ///< by peer
    std::vector<Waiting> waiting_;
};

}  // namespace hamr::daemon
