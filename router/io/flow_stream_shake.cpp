// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_stream_shake.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto handshake_limit = std::chrono::seconds(2);
constexpr const char* other_key =
    "the peer ended the handshake: it may have another key, or not know this node";

/// Delivered at once, and given up when nothing has been acknowledged for three seconds.
void tune(asio::ip::tcp::socket& socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    constexpr unsigned int patience_ms = 3000;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms,
                 sizeof patience_ms);
}

}  // namespace

asio::ip::tcp::endpoint to_tcp(const Endpoint& endpoint) {
    const auto& bytes = endpoint.address.bytes();
    if (endpoint.address.is_v4()) {
        asio::ip::address_v4::bytes_type four{};
        std::copy_n(bytes.begin(), four.size(), four.begin());
        return {asio::ip::address_v4(four), endpoint.port};
    }
    asio::ip::address_v6::bytes_type sixteen{};
    std::copy(bytes.begin(), bytes.end(), sixteen.begin());
    return {asio::ip::address_v6(sixteen), endpoint.port};
}

Endpoint from_tcp(const asio::ip::tcp::endpoint& endpoint) {
    if (endpoint.address().is_v4()) {
        std::array<std::uint8_t, 4> four{};
        const auto bytes = endpoint.address().to_v4().to_bytes();
        std::copy(bytes.begin(), bytes.end(), four.begin());
        return {IpAddress::v4(four), endpoint.port()};
    }
    std::array<std::uint8_t, 16> sixteen{};
    const auto bytes = endpoint.address().to_v6().to_bytes();
    std::copy(bytes.begin(), bytes.end(), sixteen.begin());
    return {IpAddress::v6(sixteen), endpoint.port()};
}

FlowShake::FlowShake(asio::ip::tcp::socket socket, const FlowKeys& keys, Done done)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      keys_(keys),
      done_(std::move(done)) {}

void FlowShake::limit_time() {
    timer_.expires_after(handshake_limit);
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (error || self->over_) return;
        self->fail(ShakeFailure::timed_out, "no answer within 2 s");
    });
}

void FlowShake::cancel() {
    over_ = true;
    timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
}

void FlowShake::fail(ShakeFailure reason, std::string what) {
    if (over_) return;
    cancel();
    done_(tl::unexpected(ShakeError{reason, std::move(what)}));
}

bool FlowShake::failed(const error_code& error) {
    if (over_) return true;
    if (!error) return false;
    const bool ended = error == asio::error::eof || error == asio::error::connection_reset;
    fail(ShakeFailure::unreachable, ended ? other_key : error.message());
    return true;
}

void FlowShake::finish(FlowCipher cipher) {
    over_ = true;
    timer_.cancel();
    Agreed agreed{peer_, std::move(cipher), std::move(socket_)};
    done_(std::move(agreed));
}

// The connecting side -----------------------------------------------------------------------------

void FlowShake::connect(const std::optional<Endpoint>& own, const Endpoint& to,
                        const std::string& peer) {
    peer_ = peer;
    limit_time();
    const auto target = to_tcp(to);
    error_code error;
    socket_.open(target.protocol(), error);
    if (!error) ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
    if (!error && own) {
        // The port is chosen at connect(), so that many may share one.
        constexpr int on = 1;
        ::setsockopt(socket_.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        socket_.bind(to_tcp({own->address, 0}), error);
    }
    if (error) {
        timer_.expires_after(std::chrono::seconds(0));  // told from the executor, not from here
        timer_.async_wait([self = shared_from_this(), text = error.message()](error_code) {
            self->fail(ShakeFailure::unreachable, text);
        });
        return;
    }
    socket_.async_connect(target, [self = shared_from_this()](error_code failure) {
        if (self->failed(failure)) return;
        tune(self->socket_);
        self->greet();
    });
}

void FlowShake::greet() {
    greeting_ = keys_.greet(peer_);
    asio::async_write(socket_, asio::buffer(greeting_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                          if (!self->failed(error)) self->hear_answer();
                      });
}

void FlowShake::hear_answer() {
    answer_.resize(router::flow_greeting_bytes);
    asio::async_read(socket_, asio::buffer(answer_),
                     [self = shared_from_this()](error_code error, std::size_t) {
                         if (!self->failed(error)) self->prove();
                     });
}

void FlowShake::prove() {
    if (!router::decode_greeting(answer_)) {
        return fail(ShakeFailure::malformed, "the peer speaks another protocol");
    }
    auto agreed = keys_.agree(peer_, greeting_, answer_);
    if (!agreed) return fail(ShakeFailure::bad_key, "the peer's answer is not signed by our key");
    proof_ = agreed->proof;
    cipher_.emplace(std::move(agreed->cipher));
    asio::async_write(socket_, asio::buffer(proof_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                          if (!self->failed(error)) self->finish(std::move(*self->cipher_));
                      });
}

// The accepting side ------------------------------------------------------------------------------

void FlowShake::accept(const IpAddress& from, Who who) {
    from_ = from;
    who_ = std::move(who);
    tune(socket_);
    limit_time();
    hear_greeting();
}

void FlowShake::hear_greeting() {
    greeting_.resize(router::flow_greeting_bytes);
    asio::async_read(
        socket_, asio::buffer(greeting_),
        [self = shared_from_this()](error_code error, std::size_t) {
            if (self->failed(error)) return;
            const auto greeting = router::decode_greeting(self->greeting_);
            if (!greeting) {
                return self->fail(ShakeFailure::malformed, "no greeting of a node");
            }
            if (!self->keys_.knows(*greeting)) {
                return self->fail(ShakeFailure::bad_key, "a greeting with no key of ours");
            }
            const auto peer = self->who_(greeting->from, self->from_);
            if (!peer) {
                return self->fail(ShakeFailure::unknown_node, "a node that is no peer of this one");
            }
            self->answer(*peer);
        });
}

void FlowShake::answer(const std::string& peer) {
    peer_ = peer;
    answer_ = keys_.answer(greeting_);
    asio::async_write(socket_, asio::buffer(answer_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                          if (!self->failed(error)) self->hear_proof();
                      });
}

void FlowShake::hear_proof() {
    asio::async_read(
        socket_, asio::buffer(proof_), [self = shared_from_this()](error_code error, std::size_t) {
            if (self->failed(error)) return;
            auto cipher =
                self->keys_.accept(self->peer_, self->greeting_, self->answer_, self->proof_);
            if (!cipher) {
                return self->fail(ShakeFailure::bad_key, "a proof that is none: a replay?");
            }
            self->finish(std::move(*cipher));
        });
}

}  // namespace hamr::router_io
