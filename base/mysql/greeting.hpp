// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The first packets of a MySQL connection, read and answered without a library: whose greeting it
// is, which error came instead, and a login that nobody expects to succeed.
//
// Bytes in, bytes out: no socket here. Every length is checked; what a stranger sends is kept up to
// max_packet bytes. (MySQL's protocol: "Protocol::HandshakeV10", "ERR_Packet",
// "Protocol::AuthSwitchRequest" in its internals manual.)

namespace hamr::mysql {

/// No packet before the end of a login is nearly as long.
inline constexpr std::size_t max_packet = 16 * 1024;

/// The server's first packet.
struct Greeting {
    std::string version;  ///< as sent: "5.5.5-10.11.14-MariaDB", "9.7.4-router"
    std::uint32_t connection = 0;
    std::uint32_t capabilities = 0;
    std::string plugin;  ///< of the password, "" when the server names none

    /// MySQL Router's own: it proves nothing about a server behind it.
    [[nodiscard]] bool of_mysql_router() const;
    [[nodiscard]] bool offers_tls() const;
};

/// An error packet.
struct ServerError {
    unsigned code = 0;
    std::string state;  ///< SQL state; "" in an error instead of a greeting
    std::string message;
};

[[nodiscard]] std::optional<Greeting> parse_greeting(std::string_view payload);
[[nodiscard]] std::optional<ServerError> parse_error(std::string_view payload);

/// "MariaDB 10.11.14", "MySQL Router 9.7.4", "MySQL 9.7.0" from a greeting's version.
[[nodiscard]] std::string version_in_words(std::string_view version);

/// Goes through a login as a user that nobody has, with an empty password, to its end.
class AnonymousLogin {
  public:
    enum class Stage : std::uint8_t {
        silent,    ///< not a byte has come
        greeting,  ///< a part of the first packet
        login,     ///< greeted; the answer to our login is awaited
        over,
    };
    enum class End : std::uint8_t {
        none,
        let_in,      ///< logged in; our goodbye is in the last reply
        refused,     ///< by error() after the greeting
        rejected,    ///< by error() instead of a greeting
        broken_off,  ///< the other side closed
        not_mysql,   ///< what came is something else: see garbage()
    };

    explicit AnonymousLogin(std::string user);

    /// What has come; the bytes to send now (none most of the time).
    [[nodiscard]] std::string feed(std::string_view bytes);
    /// The other side has closed.
    void closed();

    [[nodiscard]] Stage stage() const { return stage_; }
    [[nodiscard]] End end() const { return end_; }
    [[nodiscard]] const std::optional<Greeting>& greeting() const { return greeting_; }
    [[nodiscard]] const std::optional<ServerError>& error() const { return error_; }
    /// The beginning of what is no MySQL, as it came.
    [[nodiscard]] const std::string& garbage() const { return garbage_; }

  private:
    void finish(End end);
    void not_mysql(std::string_view bytes);
    std::string greeted(std::string_view payload);
    std::string answered(std::string_view payload);
    std::string packet(std::string_view payload);
    [[nodiscard]] std::string login() const;

    std::string user_;
    std::string pending_;
    std::optional<Greeting> greeting_;
    std::optional<ServerError> error_;
    std::string garbage_;
    Stage stage_ = Stage::silent;
    End end_ = End::none;
    std::uint8_t sequence_ = 0;
    unsigned rounds_ = 0;
};

}  // namespace hamr::mysql
