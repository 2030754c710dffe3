// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/mysql/greeting.hpp"

#include <optional>
#include <string>
#include <string_view>

// What libmariadb reads while it connects, seen before it acts upon it. It keeps three things to
// itself that matter here, or gets them wrong:
//
// - Whether the server offers TLS. Told to use TLS and not to verify, it goes on in the clear when
//   there is none. Here the connection is cut before the login is sent.
// - Errors whose numbers it uses itself (2003, from a router that reaches no server): it reports a
//   malformed packet.
// - Whether a greeting has come at all, when a connection ends or hangs.
//
// And it begins the TLS handshake on a blocking socket, whatever its calls promise: the socket is
// switched back as soon as the greeting has been read. (That it also reads all of the system's
// authorities for each login is cured in overheard.cpp.)
//
// Threading: each session on one thread; what is heard belongs to the session that works on it.

struct st_mysql;

namespace hamr::mysql {

class Overheard {
  public:
    explicit Overheard(bool tls_wanted) : tls_wanted_(tls_wanted) {}

    /// While it lives, what `mysql` reads on this thread comes to `ear`.
    class Listening {
      public:
        Listening(Overheard& ear, st_mysql* mysql);
        Listening(const Listening&) = delete;
        Listening& operator=(const Listening&) = delete;
        ~Listening();
    };

    [[nodiscard]] const std::optional<Greeting>& greeting() const { return greeting_; }
    /// The last error packet.
    [[nodiscard]] const std::optional<ServerError>& error() const { return error_; }
    [[nodiscard]] bool lacks_tls() const {
        return tls_wanted_ && greeting_ && !greeting_->offers_tls();
    }

  private:
    static void on_io(int mode, st_mysql* mysql, const unsigned char* bytes, std::size_t count);
    void hear(int fd, std::string_view bytes);

    std::string pending_;
    std::optional<Greeting> greeting_;
    std::optional<ServerError> error_;
    bool tls_wanted_;
    bool deaf_ = false;  ///< what comes is too long, or no MySQL
};

}  // namespace hamr::mysql
