// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/tcp_probe.hpp"

#include "health/io/tcp_target.hpp"

#include <array>
#include <chrono>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace hamr::health_io {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto goodbye_time = std::chrono::milliseconds(200);
constexpr std::size_t goodbye_bytes = 64 * 1024;

/// A connection on its way out: our end is said, the other's is waited for. Owns itself.
class Goodbye : public std::enable_shared_from_this<Goodbye> {
  public:
    explicit Goodbye(tcp::socket socket)
        : socket_(std::move(socket)), timer_(socket_.get_executor()) {}

    void start() {
        boost::system::error_code error;
        socket_.shutdown(tcp::socket::shutdown_send, error);
        if (error) return;
        timer_.expires_after(goodbye_time);
        timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
            if (!failed) self->close();
        });
        read();
    }

    void close() {
        boost::system::error_code ignored;
        socket_.close(ignored);
        timer_.cancel();
    }

  private:
    void read() {
        socket_.async_read_some(
            asio::buffer(buffer_),
            [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
                self->seen_ += bytes;
                if (error || self->seen_ > goodbye_bytes) return self->close();
                self->read();
            });
    }

    tcp::socket socket_;
    asio::steady_timer timer_;
    std::array<char, 4096> buffer_{};
    std::size_t seen_ = 0;
};

class TcpTalk final : public Probe {
  public:
    TcpTalk(asio::any_io_executor executor, health::TcpProbe what)
        : Probe(std::move(executor)), what_(what), socket_(this->executor()) {}

  protected:
    void begin() override {
        // At most one connection on its way out.
        if (const auto last = goodbye_.lock()) last->close();
        socket_.async_connect(to_asio(what_.target),
                              guarded([this](boost::system::error_code error) { met(error); }));
    }

    void release() override {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

    [[nodiscard]] std::string overdue(const std::string& limit) const override {
        return "no connection to " + what_.target.to_string() + " within " + limit;
    }

  private:
    void met(boost::system::error_code error) {
        if (!error && met_itself(socket_)) error = asio::error::connection_refused;
        if (error) return finish(false, why_not_connected(error, what_.target));
        const auto goodbye = std::make_shared<Goodbye>(std::move(socket_));
        goodbye->start();
        goodbye_ = goodbye;
        finish(true, what_.target.to_string() + " accepted a connection");
    }

    health::TcpProbe what_;
    tcp::socket socket_;
    std::weak_ptr<Goodbye> goodbye_;
};

}  // namespace

std::shared_ptr<Probe> make_tcp_probe(asio::any_io_executor executor, health::TcpProbe what) {
    return std::make_shared<TcpTalk>(std::move(executor), std::move(what));
}

}  // namespace hamr::health_io
