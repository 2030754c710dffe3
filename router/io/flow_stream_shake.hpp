// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "router/io/flow_stream_crypto.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <tl/expected.hpp>

// One connection until both sides have proved who they are (docs/protocol.md F1 to F4), as the one
// that connects or the one that accepts. Two seconds, a few hundred bytes, whatever the other does.
// Threading: one thread, the executor's.

namespace hamr::router_io {

[[nodiscard]] boost::asio::ip::tcp::endpoint to_tcp(const Endpoint& endpoint);
[[nodiscard]] Endpoint from_tcp(const boost::asio::ip::tcp::endpoint& endpoint);

enum class ShakeFailure : std::uint8_t {
    unreachable,  ///< no connection, or ended by the other side
    timed_out,
    malformed,
    bad_key,
    unknown_node,
};

struct ShakeError {
    ShakeFailure reason = ShakeFailure::unreachable;
    std::string what;
};

class FlowShake : public std::enable_shared_from_this<FlowShake> {
  public:
    struct Agreed {
        std::string peer;
        FlowCipher cipher;
        boost::asio::ip::tcp::socket socket;
    };
    using Done = std::function<void(tl::expected<Agreed, ShakeError>)>;
    /// The name of a peer that may connect from this address, by the hash of its name.
    using Who = std::function<std::optional<std::string>(std::uint64_t, const IpAddress&)>;

    /// `done` is called once, from the executor, unless cancel() comes first.
    FlowShake(boost::asio::ip::tcp::socket socket, const FlowKeys& keys, Done done);

    /// From `own` (its port is not used) to `to`.
    void connect(const std::optional<Endpoint>& own, const Endpoint& to, const std::string& peer);
    void accept(const IpAddress& from, Who who);
    void cancel();

  private:
    void limit_time();
    void greet();
    void hear_answer();
    void prove();
    void hear_greeting();
    void answer(const std::string& peer);
    void hear_proof();
    void finish(FlowCipher cipher);
    void fail(ShakeFailure reason, std::string what);
    /// Whether it is over; reports the error, if there is one.
    [[nodiscard]] bool failed(const boost::system::error_code& error);

    boost::asio::ip::tcp::socket socket_;
    boost::asio::steady_timer timer_;
    const FlowKeys& keys_;
    Done done_;
    Who who_;
    IpAddress from_;
    std::string peer_;
    std::vector<std::byte> greeting_;
    std::vector<std::byte> answer_;
    std::array<std::byte, flow_proof_bytes> proof_{};
    std::optional<FlowCipher> cipher_;
    bool over_ = false;
};

}  // namespace hamr::router_io
