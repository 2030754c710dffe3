// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/server.hpp"

#include "agent/control/json.hpp"
#include "agent/control/routes.hpp"
#include "agent/control/version.hpp"
#include "base/unique_fd.hpp"

#include <cerrno>
#include <filesystem>
#include <list>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace hamr::control {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;
using Stream = beast::basic_stream<Local, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<Local, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;
using StringRequest = http::request<http::string_body>;
using StringResponse = http::response<http::string_body>;

constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t header_limit = 8 * 1024;
constexpr std::uint64_t body_limit = 64 * 1024;

Result<> make_directory(const std::string& socket_path) {
    const std::filesystem::path directory = std::filesystem::path(socket_path).parent_path();
    if (directory.empty()) return {};
    std::error_code code;
    if (!std::filesystem::create_directories(directory, code)) {
        if (code) return fail_errno("create " + directory.string(), code.value());
        return {};
    }
    if (::chmod(directory.c_str(), 0755) != 0) {
        return fail_errno("chmod " + directory.string(), errno);
    }
    return {};
}

/// Removes a socket file that a dead agent left. One that answers is a living agent's.
Result<> clear_path(const std::string& path, const sockaddr_un& address) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno("look at " + path, errno);
    }
    if (!S_ISSOCK(info.st_mode)) {
        return fail(path + " exists and is not a socket; remove it, or choose another --socket");
    }
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) return fail_errno("open a socket", errno);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (::connect(probe.get(), raw, sizeof(address)) == 0 || errno == EAGAIN) {
        return fail("another hamrd is running: it answers on " + path +
                    "; stop it first, or choose another --socket");
    }
    if (errno != ECONNREFUSED && errno != ENOENT) return fail_errno("connect to " + path, errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + path, errno);
    return {};
}

/// A listening socket with mode 0660 from its first moment: nobody can connect before listen().
Result<UniqueFd> listen_on(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return fail("the socket's path \"" + path + "\" must be 1 to " +
                    std::to_string(sizeof(address.sun_path) - 1) + " bytes long");
    }
    path.copy(address.sun_path, path.size());
    if (auto made = make_directory(path); !made) return tl::unexpected(made.error());
    if (auto cleared = clear_path(path, address); !cleared) return tl::unexpected(cleared.error());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno("open a socket", errno);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(fd.get(), raw, sizeof(address)) != 0) return fail_errno("bind " + path, errno);
    if (::chmod(path.c_str(), 0660) == 0 && ::listen(fd.get(), 64) == 0) return fd;
    const int error = errno;
    ::unlink(path.c_str());
    return fail_errno("listen on " + path, error);
}

StringResponse make_response(const ApiAnswer& api, unsigned http_version, bool keep_alive) {
    StringResponse response(http::int_to_status(api.http), http_version);
    response.set(http::field::server, "hamrd/" + std::string(version()));
    response.set(http::field::content_type, "application/json");
    response.set(http::field::cache_control, "no-store");
    if (!api.allow.empty()) response.set(http::field::allow, api.allow);
    response.keep_alive(keep_alive);
    response.body() = api.body;
    response.body() += '\n';
    response.prepare_payload();
    return response;
}

ApiAnswer refusal_of(const beast::error_code& error) {
    if (error == http::error::body_limit || error == http::error::buffer_overflow) {
        return {413, error_json("the body is longer than 64 KiB", "send less"), {}};
    }
    if (error == http::error::header_limit) {
        return {431, error_json("the header is longer than 8 KiB", "send less"), {}};
    }
    return {400, error_json("not an HTTP request: " + error.message(), "speak HTTP/1.1"), {}};
}

/// Where an answer that comes later is waited for.
struct Pending {
    explicit Pending(const asio::io_context::executor_type& executor) : wake(executor) {}
    std::optional<ApiAnswer> result;
    Timer wake;
};

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(asio::io_context& loop_, Handler& handler_, ServerOptions options_)
        : loop(loop_),
          handler(&handler_),
          options(std::move(options_)),
          acceptor(loop_),
          room(loop_) {}

    asio::awaitable<void> accept_all(std::shared_ptr<State> self);
    asio::awaitable<void> converse(Stream& stream);
    asio::awaitable<void> serve(std::shared_ptr<State> self, std::list<Stream>::iterator stream);
    asio::awaitable<ApiAnswer> ask(ApiRequest request);

    asio::io_context& loop;
    Handler* handler;  // null once stopped
    ServerOptions options;
    Acceptor acceptor;
    Timer room;  // woken when a connection ends
    std::list<Stream> streams;
    struct stat file {};
};

asio::awaitable<void> Server::State::accept_all(std::shared_ptr<State> self) {
    while (handler != nullptr) {
        if (streams.size() >= options.connections) {
            room.expires_after(options.idle);
            co_await room.async_wait(tuple_awaitable);
            continue;
        }
        const auto stream = streams.emplace(streams.end(), loop);
        auto [error] = co_await acceptor.async_accept(stream->socket(), tuple_awaitable);
        if (error) {
            streams.erase(stream);
            if (handler == nullptr) co_return;
            room.expires_after(std::chrono::milliseconds(100));  // out of descriptors, say
            co_await room.async_wait(tuple_awaitable);
            continue;
        }
        asio::co_spawn(loop, serve(self, stream), asio::detached);
    }
}

asio::awaitable<void> Server::State::serve(std::shared_ptr<State> self,
                                           std::list<Stream>::iterator stream) {
    co_await self->converse(*stream);  // self keeps everything here alive
    beast::error_code ignored;
    stream->socket().shutdown(Local::socket::shutdown_both, ignored);
    streams.erase(stream);
    room.cancel();
}

asio::awaitable<void> Server::State::converse(Stream& stream) {
    beast::flat_buffer buffer(header_limit + body_limit);
    while (handler != nullptr) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(header_limit);
        parser.body_limit(body_limit);
        stream.expires_after(options.idle);
        auto [read_error, read] =
            co_await http::async_read(stream, buffer, parser, tuple_awaitable);
        if (handler == nullptr) co_return;
        ApiAnswer result;
        bool keep_alive = false;
        unsigned http_version = 11;
        if (!read_error) {
            StringRequest message = parser.release();
            keep_alive = message.keep_alive();
            http_version = message.version();
            ApiRequest request{std::string(message.method_string()), std::string(message.target()),
                               std::move(message.body())};
            stream.expires_never();
            result = co_await ask(std::move(request));
        } else if (read_error.category() ==
                       http::make_error_code(http::error::bad_method).category() &&
                   read_error != http::error::end_of_stream &&
                   read_error != http::error::partial_message) {
            result = refusal_of(read_error);
        } else {
            co_return;  // gone, or silent for too long
        }
        if (handler == nullptr) co_return;
        const StringResponse response = make_response(result, http_version, keep_alive);
        stream.expires_after(options.idle);
        auto [write_error, written] = co_await http::async_write(stream, response, tuple_awaitable);
        if (write_error || !keep_alive) co_return;
    }
}

asio::awaitable<ApiAnswer> Server::State::ask(ApiRequest request) {
    const auto pending = std::make_shared<Pending>(loop.get_executor());
    pending->wake.expires_after(options.failover);
    std::function<void(ApiAnswer)> done = [weak = std::weak_ptr(pending)](ApiAnswer api) {
        const auto waiting = weak.lock();
        if (!waiting || waiting->result) return;
        waiting->result = std::move(api);
        waiting->wake.cancel();
    };
    answer(*handler, request, std::move(done));
    if (!pending->result) co_await pending->wake.async_wait(tuple_awaitable);
    if (pending->result) co_return std::move(*pending->result);
    ApiAnswer late{504,
                   error_json("what was asked has not come to an end in time",
                              "look at `hamr status` and `hamr history`"),
                   {}};
    co_return late;
}

Server::Server(asio::io_context& loop, Handler& handler, ServerOptions options)
    : state_(std::make_shared<State>(loop, handler, std::move(options))) {}

Server::~Server() {
    stop();
}

Result<> Server::start() {
    auto fd = listen_on(state_->options.path);
    if (!fd) return tl::unexpected(fd.error());
    if (::stat(state_->options.path.c_str(), &state_->file) != 0) {
        return fail_errno("look at " + state_->options.path, errno);
    }
    boost::system::error_code error;
    state_->acceptor.assign(Local(), fd->get(), error);
    if (error) return fail_errno("serve " + state_->options.path, error.value());
    static_cast<void>(fd->release());
    asio::co_spawn(state_->loop, state_->accept_all(state_), asio::detached);
    return {};
}

void Server::stop() {
    State& state = *state_;
    if (state.handler == nullptr) return;
    state.handler = nullptr;
    boost::system::error_code ignored;
    const bool was_open = state.acceptor.is_open();
    state.acceptor.close(ignored);
    state.room.cancel();
    for (Stream& stream : state.streams) stream.close();
    struct stat now {};
    const std::string& path = state.options.path;
    if (was_open && ::lstat(path.c_str(), &now) == 0 && now.st_ino == state.file.st_ino &&
        now.st_dev == state.file.st_dev) {
        ::unlink(path.c_str());
    }
}

}  // namespace hamr::control
