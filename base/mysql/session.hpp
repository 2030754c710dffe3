// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/mysql/failure.hpp"
#include "base/net/address.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <tl/expected.hpp>

// One client session with a MySQL or MariaDB server, over libmariadb's non-blocking calls.
//
// Contract   connect() once, then query() as often as wanted, one thing at a time. Every call ends
//            in exactly one callback, from the executor and never from inside the call, within its
//            time-out; unless close() or the destructor comes first: then it is never called.
//            After any failure that is not `answered` by the server the session is closed, and
//            connect() may be called again.
// Blocking   Never: addresses are numeric, so that nothing is resolved; every wait is the
//            reactor's, that of the TLS handshake included (side_stack.hpp). Small local files are
//            read: the CA file, libmariadb's plugins.
// TLS        Tls::required encrypts and believes any certificate; Tls::verified wants one that the
//            CA has signed, that is valid today and names the server's address. Without TLS a
//            password for caching_sha2_password travels under the server's own public key, which
//            nobody vouches for.
// Threading  One thread, the executor's. No locks. libmariadb runs its protocol on a stack of its
//            own (256 KiB a session, touched as far as needed).
// Files      No option file is read. Only the usual password plugins are answered, so that a false
//            server cannot ask for the password in clear text; LOAD DATA LOCAL is off.
// Limits     Results over max_rows rows, or a packet over 1 MiB, are a protocol failure.

namespace hamr::mysql {

enum class Tls : std::uint8_t { off, required, verified };

struct Login {
    Endpoint server;
    std::string user;
    std::string password;
    Tls tls = Tls::off;
    std::string ca_file{};  ///< with Tls::verified; empty: the system's, 50 ms of work a login
};

struct Rows {
    /// NULL is an empty optional.
    std::vector<std::vector<std::optional<std::string>>> rows;
};

inline constexpr std::size_t max_rows = 4096;

class Session {
  public:
    /// With the server's version ("10.11.14-MariaDB-…") when connected.
    using OnConnect = std::function<void(tl::expected<std::string, Failure>)>;
    using OnRows = std::function<void(tl::expected<Rows, Failure>)>;
    using OnReadable = std::function<void()>;

    explicit Session(boost::asio::any_io_executor executor);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    void connect(const Login& login, Duration timeout, OnConnect done);
    /// Requires connected() and no call under way.
    void query(std::string sql, Duration timeout, OnRows done);
    /// Calls `done` once if something comes while the session is idle, which only an ending
    /// connection does. The next query() or close() forgets it.
    void watch(OnReadable done);
    /// Drops everything at once, a call under way included. Says goodbye to an idle server.
    void close();

    [[nodiscard]] bool connected() const;

    /// What the call under way waits for.
    enum class Waits : std::uint8_t { nothing, connection, greeting, tls, login, answer };
    [[nodiscard]] Waits waits_for() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace hamr::mysql
