// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/io/transport.hpp"

#include "election/auth.hpp"
#include "election/io/sockets.hpp"
#include "election/peer_link.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace hamr::election_io {

namespace {

static_assert(unknown_path == election::unknown_path);

// One byte more than any frame: a longer datagram is cut there, and still too long for its reader.
constexpr std::size_t buffer_bytes = election::max_datagram_bytes + 1;

// What recvmmsg() fills. Wired up once, and not moved.
class Batch {
  public:
    Batch() {
        for (std::size_t i = 0; i < receive_batch; ++i) {
            vectors_[i] = {buffers_[i].data(), buffers_[i].size()};
            messages_[i].msg_hdr.msg_name = &sources_[i];
            messages_[i].msg_hdr.msg_iov = &vectors_[i];
            messages_[i].msg_hdr.msg_iovlen = 1;
        }
    }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    /// How many datagrams were waiting; 0 when none was.
    std::size_t receive(int fd) {
        for (mmsghdr& message : messages_) message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
        const int count = ::recvmmsg(fd, messages_.data(), receive_batch, MSG_DONTWAIT, nullptr);
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }

    [[nodiscard]] Bytes datagram(std::size_t i) const {
        return Bytes(buffers_[i]).first(messages_[i].msg_len);
    }
    [[nodiscard]] Endpoint source(std::size_t i) const { return to_endpoint(sources_[i]); }

  private:
    std::array<mmsghdr, receive_batch> messages_{};
    std::array<iovec, receive_batch> vectors_{};
    std::array<sockaddr_storage, receive_batch> sources_{};
    // Not initialised: memory that no datagram has touched is not resident.
    std::array<std::array<std::byte, buffer_bytes>, receive_batch> buffers_;
};

// Where to send for one PathStats.
struct Way {
    std::size_t socket = 0;
    SocketAddress to;
};

// An address of a peer, to recognise what comes from it.
struct KnownSource {
    Endpoint endpoint;
    std::size_t index = 0;
};

}  // namespace

class Transport::Socket {
  public:
    Socket(boost::asio::io_context& io, UniqueFd fd)
        : own(bound_to(fd.get())), descriptor(io, fd.release()) {}

    Endpoint own;
    boost::asio::posix::stream_descriptor descriptor;
    std::unique_ptr<Batch> batch = std::make_unique<Batch>();
};

// Lives as long as the transport or a running handler does; handlers hold it weakly while they
// wait.
struct Transport::State {
    std::vector<Socket> sockets;
    std::vector<PathStats> paths;
    std::vector<Way> ways;  // of the same index in `paths`
    std::vector<KnownSource> sources;
    std::vector<Arrival> arrivals;
    OnReceive on_receive;
    std::uint64_t received = 0;
    std::uint64_t received_unknown = 0;
    bool closed = false;

    [[nodiscard]] std::optional<std::size_t> socket_for(const Endpoint& to,
                                                        std::size_t index) const;
    [[nodiscard]] int path_of(std::size_t socket, const Endpoint& source) const;
    void append_arrivals(const PeerEndpoints& peer, std::vector<Arrival>& out) const;
    void send(Bytes datagram, std::size_t path);
    void deliver(std::size_t socket);
    static void wait(const std::shared_ptr<State>& state, std::size_t socket);
};

std::optional<std::size_t> Transport::State::socket_for(const Endpoint& to,
                                                        std::size_t index) const {
    const auto fits = [&](const Socket& socket) {
        return socket.own.address.family() == to.address.family();
    };
    if (index < sockets.size() && fits(sockets[index])) return index;
    const auto first = std::find_if(sockets.begin(), sockets.end(), fits);
    if (first == sockets.end()) return std::nullopt;
    return static_cast<std::size_t>(first - sockets.begin());
}

int Transport::State::path_of(std::size_t socket, const Endpoint& source) const {
    const auto known =
        std::find_if(sources.begin(), sources.end(),
                     [&](const KnownSource& candidate) { return candidate.endpoint == source; });
    return known == sources.end() ? unknown_path : path_index(socket, known->index);
}

/// Rule T1 from the peer's side: to own address i it sends from its address of the same index, or
/// from its first one of that family.
void Transport::State::append_arrivals(const PeerEndpoints& peer, std::vector<Arrival>& out) const {
    const auto& theirs = peer.endpoints;
    for (std::size_t i = 0; i < sockets.size(); ++i) {
        const Endpoint& own = sockets[i].own;
        const auto fits = [&](const Endpoint& endpoint) {
            return endpoint.address.family() == own.address.family();
        };
        const auto index = static_cast<std::ptrdiff_t>(i);
        const auto from = i < theirs.size() && fits(theirs[i])
                              ? theirs.begin() + index
                              : std::find_if(theirs.begin(), theirs.end(), fits);
        if (from == theirs.end()) continue;
        const auto j = static_cast<std::size_t>(from - theirs.begin());
        out.push_back({peer.node, own, *from, path_index(i, j)});
    }
}

void Transport::State::send(Bytes datagram, std::size_t path) {
    const Way& way = ways[path];
    PathStats& stats = paths[path];
    const int fd = sockets[way.socket].descriptor.native_handle();
    if (::sendto(fd, datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL, way.to.get(),
                 way.to.length) >= 0) {
        ++stats.sent;
        stats.last_errno = 0;
        return;
    }
    stats.last_errno = errno;
    const bool full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
    ++(full ? stats.would_block : stats.failed);
}

void Transport::State::deliver(std::size_t socket) {
    Batch& batch = *sockets[socket].batch;
    const std::size_t count = batch.receive(sockets[socket].descriptor.native_handle());
    for (std::size_t i = 0; i < count && !closed; ++i) {
        const Endpoint source = batch.source(i);
        const int path = path_of(socket, source);
        ++(path == unknown_path ? received_unknown : received);
        on_receive(batch.datagram(i), source, path);
    }
}

void Transport::State::wait(const std::shared_ptr<State>& state, std::size_t socket) {
    state->sockets[socket].descriptor.async_wait(
        boost::asio::posix::descriptor_base::wait_read,
        [weak = std::weak_ptr(state), socket](const boost::system::error_code& error) {
            const std::shared_ptr<State> alive = weak.lock();
            if (error || !alive || alive->closed) return;
            alive->deliver(socket);
            if (!alive->closed) wait(alive, socket);
        });
}

Result<Transport> Transport::open(boost::asio::io_context& io, std::span<const Endpoint> own,
                                  OnReceive on_receive) {
    if (own.empty()) return fail("a node needs an address for its heartbeats");
    if (own.size() > max_addresses) {
        return fail("a node can have " + std::to_string(max_addresses) + " addresses at most");
    }
    auto state = std::make_shared<State>();
    state->on_receive = std::move(on_receive);
    state->sockets.reserve(own.size());
    for (const Endpoint& endpoint : own) {
        auto fd = bind_udp(endpoint);
        if (!fd) return tl::unexpected(std::move(fd.error()));
        state->sockets.emplace_back(io, std::move(*fd));
    }
    for (std::size_t i = 0; i < own.size(); ++i) State::wait(state, i);
    return Transport(std::move(state));
}

Result<> Transport::set_peers(std::span<const PeerEndpoints> peers) {
    std::vector<PathStats> paths;
    std::vector<Way> ways;
    std::vector<KnownSource> sources;
    std::vector<Arrival> arrivals;
    for (const PeerEndpoints& peer : peers) {
        if (peer.endpoints.size() > max_addresses) {
            return fail("a peer can have " + std::to_string(max_addresses) + " addresses at most");
        }
        const std::size_t before = paths.size();
        for (std::size_t i = 0; i < peer.endpoints.size(); ++i) {
            const Endpoint& to = peer.endpoints[i];
            sources.push_back({to, i});
            const auto socket = state_->socket_for(to, i);
            if (!socket) continue;
            paths.push_back({.node = peer.node, .from = state_->sockets[*socket].own, .to = to});
            ways.push_back({*socket, to_socket_address(to)});
        }
        if (paths.size() == before) {
            const std::string first = peer.endpoints.empty()
                                          ? "a peer without an address"
                                          : "the peer at " + peer.endpoints.front().to_string();
            return fail("no way to " + first + ": this node has no address of that family");
        }
        state_->append_arrivals(peer, arrivals);
    }
    state_->paths = std::move(paths);
    state_->ways = std::move(ways);
    state_->sources = std::move(sources);
    state_->arrivals = std::move(arrivals);
    return {};
}

void Transport::send(Bytes datagram, NodeId to) {
    for (std::size_t i = 0; i < state_->paths.size(); ++i) {
        if (state_->paths[i].node == to) state_->send(datagram, i);
    }
}

void Transport::send_all(Bytes datagram) {
    for (std::size_t i = 0; i < state_->paths.size(); ++i) state_->send(datagram, i);
}

std::vector<Endpoint> Transport::local() const {
    std::vector<Endpoint> result;
    for (const Socket& socket : state_->sockets) result.push_back(socket.own);
    return result;
}

std::span<const PathStats> Transport::paths() const {
    return state_->paths;
}
std::span<const Arrival> Transport::arrivals() const {
    return state_->arrivals;
}
std::uint64_t Transport::received() const {
    return state_->received;
}
std::uint64_t Transport::received_unknown() const {
    return state_->received_unknown;
}

Transport::Transport(std::shared_ptr<State> state) : state_(std::move(state)) {}

Transport::Transport(Transport&&) noexcept = default;

Transport& Transport::operator=(Transport&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
}

Transport::~Transport() {
    if (!state_) return;
    state_->closed = true;
    boost::system::error_code ignored;
    for (Socket& socket : state_->sockets) socket.descriptor.close(ignored);
}

}  // namespace hamr::election_io
