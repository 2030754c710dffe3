// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_stream.hpp"

#include "router/io/flow_stream_shake.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>
#include <optional>
#include <utility>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t most_handshakes = 16;
constexpr std::size_t most_from_one_address = 4;
constexpr Duration first_pause = std::chrono::milliseconds(100);
constexpr Duration longest_pause = std::chrono::seconds(2);

}  // namespace

class FlowStreams::Impl : public std::enable_shared_from_this<FlowStreams::Impl> {
  public:
    Impl(asio::any_io_executor executor, FlowStreamConfig config, Events events)
        : executor_(std::move(executor)),
          self_(config.self),
          silence_(config.silence),
          own_(std::move(config.own)),
          keys_(config.self, std::move(config.keys)),
          events_(std::move(events)) {
        peers_.reserve(config.peers.size());
        for (FlowPeer& peer : config.peers) peers_.emplace_back(executor_, std::move(peer));
    }

    Result<> start();
    void stop();

    struct Peer {
        Peer(const asio::any_io_executor& executor, FlowPeer given)
            : name(std::move(given.name)), addresses(std::move(given.addresses)), timer(executor) {}

        std::string name;
        std::vector<Endpoint> addresses;
        asio::steady_timer timer;
        std::size_t next_address = 0;
        Duration pause = first_pause;
        std::shared_ptr<FlowShake> attempt;
        std::shared_ptr<FlowLink> link;
        std::string reason;
    };

    [[nodiscard]] bool connects(const Peer& peer) const { return self_ < peer.name; }
    void close(std::size_t number, const std::string& why);

    asio::any_io_executor executor_;
    std::string self_;
    Duration silence_;
    std::vector<Endpoint> own_;
    FlowKeys keys_;
    Events events_;
    std::vector<Peer> peers_;
    std::list<tcp::acceptor> acceptors_;
    FlowDrops drops_;

  private:
    /// A connection that has not proved anything yet.
    struct Stranger {
        IpAddress address;
        std::shared_ptr<FlowShake> shake;
    };

    Result<> listen(const Endpoint& own);
    void accept(tcp::acceptor& acceptor);
    void accept_later(tcp::acceptor& acceptor);
    void came(tcp::socket socket);
    void make_room(const IpAddress& address);
    [[nodiscard]] std::optional<std::string> who(std::uint64_t hash,
                                                 const IpAddress& address) const;
    void connect(std::size_t number);
    void connect_later(std::size_t number);
    [[nodiscard]] std::optional<Endpoint> source_for(const Endpoint& target,
                                                     std::size_t index) const;
    void count(ShakeFailure reason);
    void agreed(std::size_t number, FlowShake::Agreed agreed);
    [[nodiscard]] std::size_t number_of(const std::string& name) const;

    std::list<Stranger> strangers_;
    asio::steady_timer accept_timer_{executor_};
    bool stopped_ = true;
};

// Listening ---------------------------------------------------------------------------------------

Result<> FlowStreams::Impl::start() {
    stopped_ = false;
    for (const Endpoint& own : own_) {
        if (auto listening = listen(own); !listening) {
            stop();
            return listening;
        }
    }
    for (tcp::acceptor& acceptor : acceptors_) accept(acceptor);
    for (std::size_t number = 0; number < peers_.size(); ++number) {
        if (!connects(peers_[number])) continue;
        // From the executor: no callback comes from inside start().
        asio::post(executor_, [self = shared_from_this(), number] { self->connect(number); });
    }
    return {};
}

Result<> FlowStreams::Impl::listen(const Endpoint& own) {
    const auto where = to_tcp(own);
    tcp::acceptor acceptor(executor_);
    error_code error;
    acceptor.open(where.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && where.protocol() == tcp::v6()) {
        acceptor.set_option(asio::ip::v6_only(true), error);
    }
    if (!error) {
        // No other program is to inherit it: not a child, not the next one of this life.
        ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
        // The address may come later.
        constexpr int on = 1;
        const bool v4 = own.address.is_v4();
        ::setsockopt(acceptor.native_handle(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                     v4 ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof on);
        acceptor.bind(where, error);
    }
    if (!error) acceptor.listen(static_cast<int>(most_handshakes), error);
    if (error == asio::error::address_in_use) {
        return fail("TCP port " + std::to_string(own.port) + " is taken on " +
                    own.address.to_string() + ": is another hamrd running?");
    }
    if (error) return fail_errno("listen for peers on " + own.to_string(), error.value());
    acceptors_.push_back(std::move(acceptor));
    return {};
}

void FlowStreams::Impl::stop() {
    stopped_ = true;
    accept_timer_.cancel();
    error_code ignored;
    for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
    for (const Stranger& stranger : strangers_) stranger.shake->cancel();
    strangers_.clear();
    for (Peer& peer : peers_) {
        peer.timer.cancel();
        if (peer.attempt) peer.attempt->cancel();
        if (peer.link) peer.link->close();
        peer.attempt.reset();
        peer.link.reset();
    }
}

void FlowStreams::Impl::accept(tcp::acceptor& acceptor) {
    acceptor.async_accept(
        [self = shared_from_this(), &acceptor](error_code error, tcp::socket socket) {
            if (self->stopped_) return;
            if (error) return self->accept_later(acceptor);
            ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
            self->came(std::move(socket));
            self->accept(acceptor);
        });
}

/// No descriptors left, say: what waits is taken in a moment, without a busy loop.
void FlowStreams::Impl::accept_later(tcp::acceptor& acceptor) {
    accept_timer_.expires_after(std::chrono::milliseconds(100));
    accept_timer_.async_wait([self = shared_from_this(), &acceptor](error_code) {
        if (!self->stopped_) self->accept(acceptor);
    });
}

void FlowStreams::Impl::came(tcp::socket socket) {
    error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error) return;
    const IpAddress from = from_tcp(remote).address;
    const bool known = std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
        return std::any_of(peer.addresses.begin(), peer.addresses.end(),
                           [&](const Endpoint& at) { return at.address == from; });
    });
    if (!known) {
        ++drops_.unknown_node;
        return;
    }
    make_room(from);
    const auto place = strangers_.insert(strangers_.end(), Stranger{from, nullptr});
    place->shake = std::make_shared<FlowShake>(
        std::move(socket), keys_, [this, place](tl::expected<FlowShake::Agreed, ShakeError> done) {
            const auto kept = place->shake;
            strangers_.erase(place);
            if (!done) return count(done.error().reason);
            // The name is read before the rest is moved: arguments have no order.
            const std::size_t number = number_of(done->peer);
            agreed(number, std::move(*done));
        });
    place->shake->accept(
        from, [this](std::uint64_t hash, const IpAddress& address) { return who(hash, address); });
}

/// The oldest goes: a genuine peer needs a few milliseconds, an idler two seconds.
void FlowStreams::Impl::make_room(const IpAddress& address) {
    const auto same = [&](const Stranger& stranger) { return stranger.address == address; };
    const auto of_address = std::count_if(strangers_.begin(), strangers_.end(), same);
    auto victim = strangers_.end();
    if (of_address >= static_cast<std::ptrdiff_t>(most_from_one_address)) {
        victim = std::find_if(strangers_.begin(), strangers_.end(), same);
    } else if (strangers_.size() >= most_handshakes) {
        victim = strangers_.begin();
    }
    if (victim == strangers_.end()) return;
    victim->shake->cancel();
    strangers_.erase(victim);
    ++drops_.crowded;
}

std::optional<std::string> FlowStreams::Impl::who(std::uint64_t hash,
                                                  const IpAddress& address) const {
    for (const Peer& peer : peers_) {
        if (flow_node_hash(peer.name) != hash || connects(peer)) continue;
        for (const Endpoint& at : peer.addresses) {
            if (at.address == address) return peer.name;
        }
    }
    return {};
}

void FlowStreams::Impl::count(ShakeFailure reason) {
    switch (reason) {
        case ShakeFailure::unreachable:
            break;
        case ShakeFailure::timed_out:
            ++drops_.timed_out;
            break;
        case ShakeFailure::malformed:
            ++drops_.malformed;
            break;
        case ShakeFailure::bad_key:
            ++drops_.bad_key;
            break;
        case ShakeFailure::unknown_node:
            ++drops_.unknown_node;
            break;
    }
}

// Connecting --------------------------------------------------------------------------------------

/// The own address of the same index, else the first of the family.
std::optional<Endpoint> FlowStreams::Impl::source_for(const Endpoint& target,
                                                      std::size_t index) const {
    const auto fits = [&](const Endpoint& own) {
        return own.address.family() == target.address.family();
    };
    if (index < own_.size() && fits(own_[index])) return own_[index];
    const auto first = std::find_if(own_.begin(), own_.end(), fits);
    if (first == own_.end()) return {};
    return *first;
}

void FlowStreams::Impl::connect(std::size_t number) {
    Peer& peer = peers_[number];
    if (stopped_ || peer.addresses.empty()) return;
    const std::size_t index = peer.next_address++ % peer.addresses.size();
    const Endpoint target = peer.addresses[index];
    peer.attempt = std::make_shared<FlowShake>(
        tcp::socket(executor_), keys_,
        [this, number, target](tl::expected<FlowShake::Agreed, ShakeError> done) {
            const auto kept = std::move(peers_[number].attempt);
            if (done) return agreed(number, std::move(*done));
            if (done.error().reason != ShakeFailure::timed_out) count(done.error().reason);
            peers_[number].reason = target.to_string() + ": " + done.error().what;
            connect_later(number);
        });
    peer.attempt->connect(source_for(target, index), target, peer.name);
}

void FlowStreams::Impl::connect_later(std::size_t number) {
    Peer& peer = peers_[number];
    peer.timer.expires_after(peer.pause);
    peer.pause = std::min(peer.pause * 2, longest_pause);
    peer.timer.async_wait([self = shared_from_this(), number](error_code error) {
        if (!error && !self->stopped_) self->connect(number);
    });
}

// Connected ---------------------------------------------------------------------------------------

std::size_t FlowStreams::Impl::number_of(const std::string& name) const {
    const auto found = std::find_if(peers_.begin(), peers_.end(),
                                    [&](const Peer& peer) { return peer.name == name; });
    return static_cast<std::size_t>(found - peers_.begin());
}

/// A newer connection of a peer takes the place of an older one, which may be dead.
void FlowStreams::Impl::agreed(std::size_t number, FlowShake::Agreed agreed) {
    if (stopped_) return;
    Peer& peer = peers_[number];
    close(number, "the peer has connected anew");
    FlowLink::Events events;
    events.heard = [this, number](const router::FlowMessage& message) {
        // Only now is it known that the peer has accepted the proof.
        peers_[number].pause = first_pause;
        return events_.heard(number, message);
    };
    events.drained = [this, number] { events_.drained(number); };
    events.ended = [this, number](const std::string& why, bool malformed) {
        if (malformed) ++drops_.malformed;
        close(number, why);
        if (connects(peers_[number])) connect_later(number);
    };
    peer.reason.clear();
    peer.link = std::make_shared<FlowLink>(std::move(agreed.socket), std::move(agreed.cipher),
                                           silence_, std::move(events));
    peer.link->start();
    events_.up(number);
}

void FlowStreams::Impl::close(std::size_t number, const std::string& why) {
    Peer& peer = peers_[number];
    if (!peer.link) return;
    const auto kept = std::move(peer.link);
    peer.link.reset();
    kept->close();
    peer.reason = why;
    events_.down(number, why);
}

// The face ----------------------------------------------------------------------------------------

FlowStreams::FlowStreams(asio::any_io_executor executor, FlowStreamConfig config, Events events)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(config), std::move(events))) {}

FlowStreams::~FlowStreams() {
    impl_->stop();
}

Result<> FlowStreams::start() {
    return impl_->start();
}

void FlowStreams::stop() {
    impl_->stop();
}

bool FlowStreams::is_up(std::size_t peer) const {
    return impl_->peers_.at(peer).link != nullptr;
}

void FlowStreams::send(std::size_t peer, FlowBytes message) {
    const auto link = impl_->peers_.at(peer).link;
    if (link) link->send(std::move(message));
}

std::size_t FlowStreams::queued(std::size_t peer) const {
    const auto& link = impl_->peers_.at(peer).link;
    return link ? link->queued() : 0;
}

bool FlowStreams::connects(std::size_t peer) const {
    return impl_->connects(impl_->peers_.at(peer));
}

std::string FlowStreams::reason(std::size_t peer) const {
    return impl_->peers_.at(peer).reason;
}

FlowDrops FlowStreams::drops() const {
    return impl_->drops_;
}

std::vector<Endpoint> FlowStreams::listening() const {
    std::vector<Endpoint> places;
    for (const tcp::acceptor& acceptor : impl_->acceptors_) {
        error_code error;
        const auto where = acceptor.local_endpoint(error);
        if (!error) places.push_back(from_tcp(where));
    }
    return places;
}

}  // namespace hamr::router_io
