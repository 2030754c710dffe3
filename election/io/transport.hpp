// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "election/types.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <boost/asio/io_context.hpp>

// Datagrams between nodes: UDP, one socket for each own address, over all paths.
//
// Contract: what is sent goes to every address of a peer, each from the own socket of the same
// index when the families match, else from the first of that family. Sending never blocks and never
// fails as a whole: what a path refuses is counted for that path (PathStats) and lost, as the
// network may lose it too. What is received goes to the callback, with the endpoint that it came
// from and a small number for the path (path_index below). Nothing here looks into the bytes.
//
// An own address that is not there yet is no error (IP_FREEBIND): the socket works from the moment
// that the address appears.
//
// Threading: everything on the io_context given, the pulse loop. One wake-up takes at most
// receive_batch datagrams from one socket, so that a flood cannot starve the timers. No allocation
// once warm. The callback may destroy the transport; it must not throw.
//
// Limits: max_addresses own ones, and as many for each peer; receive_batch buffers of 14 KiB a
// socket, touched only as far as datagrams are long.

namespace hamr::election_io {

using election::NodeId;

inline constexpr std::size_t max_addresses = 5;
inline constexpr std::size_t receive_batch = 16;

/// Own address i, peer's address j: i * max_addresses + j, so below 25. It tells the replay windows
/// of election::PeerLink apart; two peers share the same small numbers.
[[nodiscard]] constexpr int path_index(std::size_t own, std::size_t peer_address) {
    return static_cast<int>(own * max_addresses + peer_address);
}
/// From an endpoint that is no peer's.
inline constexpr int unknown_path = 31;
static_assert(path_index(max_addresses - 1, max_addresses - 1) < unknown_path);

struct PeerEndpoints {
    NodeId node;
    std::vector<Endpoint> endpoints;
};

/// One way to one address of one peer, and what became of what was sent there.
struct PathStats {
    NodeId node;
    Endpoint from;
    Endpoint to;
    std::uint64_t sent = 0;
    std::uint64_t would_block = 0;  ///< the socket's buffer was full (EAGAIN, ENOBUFS)
    std::uint64_t failed = 0;       ///< no route, address not there yet, filtered…
    int last_errno = 0;             ///< of the newest datagram that was not sent; 0 after success
};

/// A way on which a peer's frames arrive while both of its ends and what is between them work: by
/// rule T1, one for each own address that the peer has an address of the same family for.
struct Arrival {
    NodeId node;
    Endpoint own;
    Endpoint peer;
    int path = unknown_path;

    friend bool operator==(const Arrival&, const Arrival&) = default;
};

class Transport {
  public:
    using OnReceive = std::function<void(Bytes datagram, const Endpoint& source, int path)>;

    /// Binds a socket to each of `own` (port 0: any free one, see local()) and starts to receive.
    /// Errors: a port that is taken, no permission, a family that the kernel lacks; the message
    /// names the address.
    [[nodiscard]] static Result<Transport> open(boost::asio::io_context& io,
                                                std::span<const Endpoint> own,
                                                OnReceive on_receive);

    /// Whom to send to, in place of any earlier list; their counters start anew. Fails, and leaves
    /// the list as it was, when a peer has no address of a family that this node has, or too many.
    [[nodiscard]] Result<> set_peers(std::span<const PeerEndpoints> peers);

    void send(Bytes datagram, NodeId to);
    void send_all(Bytes datagram);

    /// The endpoints that the sockets are bound to, in the order of `own`.
    [[nodiscard]] std::vector<Endpoint> local() const;
    [[nodiscard]] std::span<const PathStats> paths() const;
    [[nodiscard]] std::span<const Arrival> arrivals() const;
    /// Datagrams received, from peers' endpoints and from others.
    [[nodiscard]] std::uint64_t received() const;
    [[nodiscard]] std::uint64_t received_unknown() const;

    Transport(Transport&&) noexcept;
    Transport& operator=(Transport&&) noexcept;
    ~Transport();

  private:
    struct State;
    class Socket;
    explicit Transport(std::shared_ptr<State> state);

    std::shared_ptr<State> state_;
};

}  // namespace hamr::election_io
