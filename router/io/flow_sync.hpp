// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "router/backend_orders.hpp"
#include "router/io/flow_limits.hpp"
#include "router/standing.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

// Which client connections run through the addresses, known to every router host; and after a
// takeover the clients of the old leader see a reset instead of silence.
//
// How       The kernel's connection tracking tells this host's own flows (conntrack_events.hpp).
//           One encrypted stream to each peer carries them there and brings the peer's
//           (flow_stream.hpp, docs/protocol.md rules F). Who begins to lead sends each client of
//           another node a TCP ACK with made-up numbers, as the address (tickle.hpp): the client
//           answers with its true ones, and since nobody here has that connection, the kernel
//           resets it.
// Embedded  With `replicas` what a peer that leads has goes into this host's kernel
//           (conntrack_table.hpp): the connections live on here after a takeover. What this node
//           has then becomes its own at lead(), and a dump of the kernel's table confirms it; its
//           peers are told it all, so that who led before drops what has gone. Only clients of
//           flows that the kernel would not take are reset.
// Wiring    On router hosts only; a witness neither sends nor receives flows. Before start(): the
//           settings of router/sysctls.hpp's tracking_sysctls(). start() loads the table that makes
//           the kernel track (router::render_tracking) unless `load_rules` is off.
// Threading One thread, the executor's (the work loop's, never the pulse's). Nothing blocks but
//           start(), for the time that binding a few sockets takes. Callbacks come from the
//           executor, never from inside a call.
// Limits    200,000 flows, own and peers' together, some 80 bytes each (160 with replicas); what is
//           beyond is counted and told. 4 MiB waiting for each peer, then a full resync. The kernel
//           is told of 64 flows at a time, some 1.5 ms.
// Errors    What fails while it runs is told by `trouble` and tried again.

namespace hamr::router_io {

/// Another router host, as the configuration names it; ports are the heartbeat's.
struct FlowPeer {
    std::string name;
    std::vector<Endpoint> addresses;
};

/// A key of the key file, derived for this use (the election's KeyUse::flows).
struct FlowKey {
    std::string id;
    std::array<std::byte, 32> bytes{};
};

struct FlowSyncConfig {
    std::string self;                            ///< this node's name
    std::vector<Endpoint> own;                   ///< its addresses with the heartbeat's port
    std::vector<FlowPeer> peers;                 ///< the other router hosts
    std::vector<FlowKey> keys;                   ///< the first signs, all verify; at least one
    std::vector<std::vector<IpAddress>> groups;  ///< the addresses of each group
    bool load_rules = true;  ///< false: somebody else's table uses conntrack already
    bool replicas = false;   ///< peers' flows are to live in this host's kernel
};

/// Whether a peer can be told of drained backends: an older version cannot.
enum class OrdersHeard : std::uint8_t { not_known, no, yes };

struct FlowPeerStatus {
    std::string name;
    /// "connecting", "waiting" (the peer is the one who connects), "syncing", "synced", "off".
    std::string state;
    std::string reason;       ///< why it is not connected, when that is known
    std::uint64_t flows = 0;  ///< the peer's own, as it has told
    double lag_ms = 0;        ///< age of the oldest change that the peer has not acknowledged
    double delay_ms = 0;      ///< how long the newest acknowledged change took
    std::uint64_t sent = 0;   ///< messages
    std::uint64_t received = 0;
    std::uint64_t resyncs = 0;  ///< full ones after the first: new connections, full queues
    bool connected = false;     ///< and greeted
    OrdersHeard orders = OrdersHeard::not_known;  ///< while it is connected
};

/// Connections and messages that were refused, by reason.
struct FlowDrops {
    std::uint64_t bad_key = 0;       ///< no common key, or a wrong proof of it
    std::uint64_t unknown_node = 0;  ///< from an address, or of a name, that is no peer's
    std::uint64_t malformed = 0;
    std::uint64_t timed_out = 0;  ///< a handshake that did not end
    std::uint64_t crowded = 0;    ///< too many handshakes at once
};

struct FlowSyncStatus {
    std::uint64_t own = 0;       ///< flows that end on this host
    std::uint64_t peers = 0;     ///< flows that end on others
    std::uint64_t replicas = 0;  ///< of these, what this host's kernel could go on with
    std::vector<FlowPeerStatus> streams;
    FlowDrops drops;
    std::uint64_t refused = 0;   ///< flows beyond the limit, and those that the kernel did not take
    std::uint64_t waiting = 0;   ///< of others', until this host's kernel has room for them
    ConntrackUsage kernel;       ///< its table, half a second ago at most
    std::uint64_t missed = 0;    ///< times that the kernel had more events than could be read
    std::uint64_t tickles = 0;   ///< sent, since the start
    std::uint64_t unsent = 0;    ///< that the kernel refused to send
    std::uint64_t answered = 0;  ///< flows of others whose client came forward here, and was reset
};

class FlowSync {
  public:
    struct Events {
        /// Something that an operator should know; an empty `what` ends the trouble of that key.
        std::function<void(const std::string& key, const std::string& what,
                           const std::string& remedy)>
            trouble;
        std::function<void(const std::string& text)> log;
        /// What a peer knows of drained backends; `standing`: its rules are made by it.
        std::function<void(const std::string& peer, const std::vector<router::BackendOrder>& orders,
                           bool standing)>
            orders{};
        /// Flows were reset because of their backend: one line for people.
        std::function<void(std::size_t group, const std::string& text)> reset{};
    };

    FlowSync(boost::asio::any_io_executor executor, FlowSyncConfig config, Events events);
    FlowSync(const FlowSync&) = delete;
    FlowSync& operator=(const FlowSync&) = delete;
    /// As stop().
    ~FlowSync();

    /// Fails when a port is taken, or when the kernel has no connection tracking over netlink.
    Result<> start();
    /// True once this node has announced the addresses of that group: the tickles go out (rule
    /// F12), at once and, to those who have not answered, again until 15 s later. False as soon as
    /// it leads no more. To say the same again is harmless. With replicas: true as soon as it
    /// leads, and again once it has announced.
    void lead(std::size_t group, bool leads);
    /// What this node knows of drained backends, for all peers: now, and whenever one connects.
    void tell_orders(const std::vector<router::BackendOrder>& orders, bool standing);
    /// With replicas: which flows may go on; those that must not are reset (flow_resets.hpp). To
    /// be said once rules stand that lead nobody new there; to say the same again is harmless.
    void judge(std::vector<router::Standing> standings);
    [[nodiscard]] FlowSyncStatus status() const;
    /// The streams of status() alone, which looks at every flow.
    [[nodiscard]] std::vector<FlowPeerStatus> peers() const;
    /// How many flows go through each backend, here or on the peers. Looks at every flow.
    [[nodiscard]] std::map<Endpoint, std::size_t> by_backend() const;
    /// Ends all streams. The table stays for whoever removes it (Nft::remove).
    void stop();

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::router_io
