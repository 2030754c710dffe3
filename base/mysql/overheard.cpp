// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/overheard.hpp"

#include <fcntl.h>
#include <mysql.h>
#include <sys/socket.h>

/// Exported by libmariadb for plugins that watch the traffic; no header of it declares this.
extern "C" int ma_pvio_register_callback(my_bool add, void (*callback)(int mode, MYSQL* mysql,
                                                                       const unsigned char* bytes,
                                                                       std::size_t count));

/// Takes the place of OpenSSL's own in this program. libmariadb calls it for each login with TLS
/// and without a CA file, also when nothing is to be verified, and reading all authorities of the
/// system takes 50 ms, during which the loop would stand still. Who wants them names their file.
extern "C" int SSL_CTX_set_default_verify_paths(void* /*context*/) {
    return 1;
}

namespace hamr::mysql {

namespace {

struct Ear {
    Overheard* ear = nullptr;
    const st_mysql* mysql = nullptr;
};
thread_local Ear current;

constexpr std::size_t header_bytes = 4;

std::size_t payload_size(std::string_view header) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(header[i]); };
    return byte(0) | std::size_t{byte(1)} << 8 | std::size_t{byte(2)} << 16;
}

}  // namespace

Overheard::Listening::Listening(Overheard& ear, st_mysql* mysql) {
    // Once in a process: the library keeps a list that it does not lock.
    static const int registered = ma_pvio_register_callback(1, &Overheard::on_io);
    static_cast<void>(registered);
    current = {&ear, mysql};
}

Overheard::Listening::~Listening() {
    current = {};
}

void Overheard::on_io(int mode, st_mysql* mysql, const unsigned char* bytes, std::size_t count) {
    const bool reading = mode == 0;
    const bool failed = static_cast<ssize_t>(count) <= 0;
    if (!reading || failed || current.ear == nullptr || current.mysql != mysql) return;
    const int fd = static_cast<int>(mysql_get_socket(mysql));
    current.ear->hear(fd, {reinterpret_cast<const char*>(bytes), count});
}

void Overheard::hear(int fd, std::string_view bytes) {
    if (tls_wanted_) {
        const int flags = ::fcntl(fd, F_GETFL);
        if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
    if (deaf_) return;
    pending_ += bytes;
    while (pending_.size() >= header_bytes) {
        const std::size_t size = payload_size(pending_);
        deaf_ = size > max_packet;
        if (deaf_ || pending_.size() < header_bytes + size) break;
        const std::string payload = pending_.substr(header_bytes, size);
        pending_.erase(0, header_bytes + size);
        if (auto error = parse_error(payload)) {
            error_ = std::move(error);
        } else if (!greeting_) {
            greeting_ = parse_greeting(payload);
            deaf_ = !greeting_;
            if (lacks_tls()) ::shutdown(fd, SHUT_RDWR);
        }
    }
    if (deaf_) pending_.clear();
}

}  // namespace hamr::mysql
