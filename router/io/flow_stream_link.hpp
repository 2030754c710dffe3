// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "router/flow_wire.hpp"
#include "router/io/flow_stream_crypto.hpp"

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

// One connection to a peer after its handshake: messages in both directions, encrypted, each with
// its length before it (docs/protocol.md F5, F6). Threading: one thread, the socket's executor.
// Limits: 64 KiB in each direction besides what waits; the sender decides how much that may be.

namespace hamr::router_io {

/// An encoded message; shared, since all peers get the same.
using FlowBytes = std::shared_ptr<const std::vector<std::byte>>;

class FlowLink : public std::enable_shared_from_this<FlowLink> {
  public:
    struct Events {
        /// False: the message has no place here, and the connection ends.
        std::function<bool(const router::FlowMessage&)> heard;
        /// Most of what waited has been written.
        std::function<void()> drained;
        /// Once, unless close() came first.
        std::function<void(const std::string& why, bool malformed)> ended;
    };

    /// Ends when nothing has been heard for `silence`.
    FlowLink(boost::asio::ip::tcp::socket socket, FlowCipher cipher, Duration silence,
             Events events);

    void start();
    void send(FlowBytes message);
    /// Bytes of messages that wait.
    [[nodiscard]] std::size_t queued() const { return queued_; }
    void close();

  private:
    void write();
    void read_header();
    void read_length();
    void read_message(std::size_t size);
    void take(std::size_t size);
    void watch();
    void end(const std::string& why, bool malformed = false);
    [[nodiscard]] bool failed(const boost::system::error_code& error);

    boost::asio::ip::tcp::socket socket_;
    boost::asio::steady_timer timer_;
    FlowCipher cipher_;
    Duration silence_;
    Events events_;
    std::deque<FlowBytes> queue_;
    std::size_t queued_ = 0;
    std::vector<std::byte> out_;
    bool writing_ = false;
    bool closed_ = false;
    std::array<std::byte, flow_header_bytes> header_{};
    std::array<std::byte, 2> length_{};
    std::vector<std::byte> in_;
    BootTime heard_at_ = long_ago;
};

}  // namespace hamr::router_io
