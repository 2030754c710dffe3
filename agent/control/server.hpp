// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/handler.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

// The control API on a Unix socket: HTTP/1.1 with JSON.
//
// Threading: everything happens on the io_context that it is given (the work loop), which must be
// run by one thread; start(), stop() and the destructor belong to that thread, or to a time when
// the loop does not run.
//
// Limits: `connections` at a time (others wait in the kernel's queue), a header of 8 KiB, a body of
// 64 KiB, `idle` for each read and write, `failover` for the handler's answer to an order
// (failover, drain, undrain, reload).

namespace hamr::control {

struct ServerOptions {
    std::string path;  // of the socket
    std::size_t connections = 32;
    std::chrono::milliseconds idle = std::chrono::seconds(10);
    std::chrono::milliseconds failover = std::chrono::seconds(15);
};

class Server {
  public:
    /// `handler` must outlive the server.
    Server(boost::asio::io_context& loop, Handler& handler, ServerOptions options);
    /// As stop().
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Makes the directory (0755) when it is absent and the socket (0660). A socket file that
    /// nobody answers on is replaced; one that somebody answers on is an error, as it means that
    /// another hamrd is running.
    Result<> start();

    /// Closes everything and removes the socket file if it is still this server's. Answers that are
    /// under way are lost. May be called twice.
    void stop();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace hamr::control
