// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/unique_fd.hpp"
#include "tests/unit/router/lab_mariadb.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

// ProxySQL's admin port as far as its protocol goes: one client, whose statements are written down
// and answered with OK, or, when they say NONSENSE, with the error that ProxySQL gives for all.

namespace hamr::lab {

class FakeProxySql {
  public:
    FakeProxySql() : port_(free_port()), listener_(listen_on(port_)) {
        thread_ = std::thread([this] { serve(); });
    }
    FakeProxySql(const FakeProxySql&) = delete;
    FakeProxySql& operator=(const FakeProxySql&) = delete;
    ~FakeProxySql() { stop(); }

    [[nodiscard]] Endpoint endpoint() const { return {IpAddress::v4({127, 0, 0, 1}), port_}; }

    /// What the client has said until it left.
    const std::vector<std::string>& statements() {
        stop();
        return statements_;
    }

  private:
    static bool readable(const UniqueFd& fd) {
        pollfd one{fd.get(), POLLIN, 0};
        return ::poll(&one, 1, 5000) == 1;
    }

    void stop() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        if (thread_.joinable()) thread_.join();
    }

    void serve() {
        if (!readable(listener_)) return;
        client_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client_) return;
        send(0, greeting());
        if (receive().empty()) return;
        send(2, ok());
        for (;;) {
            const std::string packet = receive();
            if (packet.empty() || packet[0] != 3) return;
            statements_.push_back(packet.substr(1));
            const bool bad = packet.find("NONSENSE") != std::string::npos;
            send(1, bad ? error() : ok());
        }
    }

    static std::string greeting() {
        using namespace std::string_literals;
        return "\x0a"
               "8.0.11 (ProxySQL Admin Module)\0"s +
               "\1\0\0\0"
               "abcdefgh\0"s +
               "\x0f\xa2\x21\x02\0\x08\0\x15"s + std::string(10, '\0') +
               "ijklmnopqrst\0mysql_native_password\0"s;
    }
    static std::string ok() { return std::string("\0\0\0\2\0\0\0", 7); }
    static std::string error() {
        return "\xff\x15\x04#28000ProxySQL Admin Error: near \"NONSENSE\": syntax error";
    }

    void send(int sequence, const std::string& payload) const {
        std::string packet;
        packet += static_cast<char>(payload.size());
        packet += std::string(2, '\0');
        packet += static_cast<char>(sequence);
        packet += payload;
        (void)::send(client_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    }

    [[nodiscard]] std::string take(std::size_t count) const {
        std::string bytes(count, '\0');
        std::size_t got = 0;
        while (got < count && readable(client_)) {
            const ssize_t now = ::recv(client_.get(), bytes.data() + got, count - got, 0);
            if (now <= 0) return {};
            got += static_cast<std::size_t>(now);
        }
        return got == count ? bytes : std::string();
    }

    [[nodiscard]] std::string receive() const {
        const std::string header = take(4);
        if (header.empty()) return {};
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(header[i]); };
        return take(byte(0) + 256U * byte(1));
    }

    std::uint16_t port_;
    UniqueFd listener_;
    UniqueFd client_;
    std::vector<std::string> statements_;
    std::thread thread_;
};

}  // namespace hamr::lab
