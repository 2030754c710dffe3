// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/client.hpp"

#include "agent/control/json.hpp"

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace hamr::control {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;
using Stream = beast::basic_stream<Local, asio::io_context::executor_type>;

/// The chain connect, write, read; ends by itself when a step fails.
class Exchange {
  public:
    explicit Exchange(const ClientOptions& options) : stream_(loop_) {
        stream_.expires_after(options.timeout);
        parser_.body_limit(max_json_bytes);
    }

    beast::error_code run(const std::string& path, http::request<http::string_body> message) {
        message_ = std::move(message);
        stream_.async_connect(Local::endpoint(path), [this](beast::error_code e) { connected(e); });
        loop_.run();
        return error_;
    }

    Response take() {
        auto message = parser_.release();
        std::string body = std::move(message.body());
        while (!body.empty() && body.back() == '\n') body.pop_back();
        return {message.result_int(), std::move(body)};
    }

    [[nodiscard]] bool was_connected() const { return connected_; }

  private:
    void connected(beast::error_code error) {
        error_ = error;
        if (error) return;
        connected_ = true;
        http::async_write(stream_, message_,
                          [this](beast::error_code e, std::size_t) { written(e); });
    }

    void written(beast::error_code error) {
        error_ = error;
        if (error) return;
        http::async_read(stream_, buffer_, parser_,
                         [this](beast::error_code e, std::size_t) { error_ = e; });
    }

    asio::io_context loop_{1};
    Stream stream_;
    http::request<http::string_body> message_;
    beast::flat_buffer buffer_;
    http::response_parser<http::string_body> parser_;
    beast::error_code error_;
    bool connected_ = false;
};

ClientError explain(const ClientOptions& options, const beast::error_code& error, bool connected) {
    using Kind = ClientError::Kind;
    const std::string& path = options.socket;
    if (error == beast::errc::permission_denied || error == beast::errc::operation_not_permitted) {
        return {Kind::no_permission, "no permission to talk to the agent at " + path,
                "run this as root, or as a member of the socket's group"};
    }
    if (error == beast::error::timeout) {
        return {Kind::unreachable,
                "the agent at " + path + " did not answer within " +
                    std::to_string(options.timeout.count() / 1000) + " s",
                "see `systemctl status hamrd` and the agent's log"};
    }
    if (connected) {
        return {Kind::unreachable, "the agent at " + path + " broke off: " + error.message(),
                "see `systemctl status hamrd` and the agent's log"};
    }
    return {Kind::unreachable, "the agent cannot be reached at " + path + ": " + error.message(),
            "is hamrd running on this host? See `systemctl status hamrd`; --socket names another "
            "socket"};
}

}  // namespace

tl::expected<Response, ClientError> request(const ClientOptions& options, const std::string& method,
                                            const std::string& target, const std::string& body) {
    if (options.socket.empty() || options.socket.size() > 107) {
        return tl::unexpected(ClientError{ClientError::Kind::unreachable,
                                          "the socket's path must be 1 to 107 bytes long",
                                          "name the agent's socket with --socket"});
    }
    http::request<http::string_body> message(http::string_to_verb(method), target, 11);
    message.set(http::field::host, "hamrd");
    message.keep_alive(false);
    if (!body.empty()) {
        message.set(http::field::content_type, "application/json");
        message.body() = body;
    }
    message.prepare_payload();
    Exchange exchange(options);
    const beast::error_code error = exchange.run(options.socket, std::move(message));
    if (error) return tl::unexpected(explain(options, error, exchange.was_connected()));
    return exchange.take();
}

}  // namespace hamr::control
