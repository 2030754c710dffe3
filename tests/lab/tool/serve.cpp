// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/exchange.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

// The other end of `load`: it answers the questions of thousands of connections in one thread.
// Connections from certain addresses are relayed to another port instead, so that a router that
// watches its backends finds a real MySQL server here and its clients find this one.

namespace labtool {

namespace {

constexpr int backlog = 4096;
constexpr int patience_ms = 1000;

struct Peer {
    explicit Peer(hamr::UniqueFd own) : fd(std::move(own)) {}
    hamr::UniqueFd fd;
    std::vector<std::uint8_t> in;
    Question question;
    /// Of the answer under way; nothing is under way when that is all of it.
    std::uint64_t sent = 0;
    bool waits_to_write = false;
    /// The other side of a relay, or -1.
    int other = -1;
};

sockaddr_in6 any_address(std::uint16_t port) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    return address;
}

hamr::Result<hamr::UniqueFd> listen_on(std::uint16_t port, bool shared) {
    hamr::UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    static_cast<void>(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    if (shared) {
        static_cast<void>(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
    }
    const sockaddr_in6 address = any_address(port);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd.get(), backlog) != 0) {
        return hamr::fail_errno("listen on port " + std::to_string(port), errno);
    }
    return fd;
}

/// IPv4 addresses come mapped into IPv6.
hamr::IpAddress address_of(const sockaddr_in6& from) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy_n(from.sin6_addr.s6_addr, bytes.size(), bytes.begin());
    if (!IN6_IS_ADDR_V4MAPPED(&from.sin6_addr)) return hamr::IpAddress::v6(bytes);
    return hamr::IpAddress::v4({bytes[12], bytes[13], bytes[14], bytes[15]});
}

bool send_all(int fd, std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (size >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(size));
            continue;
        }
        pollfd writable{fd, POLLOUT, 0};
        if (errno != EAGAIN || ::poll(&writable, 1, patience_ms) <= 0) return false;
    }
    return true;
}

class Server {
  public:
    Server(hamr::UniqueFd listener, std::set<hamr::IpAddress> relayed,
           std::optional<hamr::Endpoint> relay_to)
        : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
          listener_(std::move(listener)),
          relayed_(std::move(relayed)),
          relay_to_(relay_to),
          buffer_(262144) {
        epoll_event event{EPOLLIN, {.fd = listener_.get()}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event);
    }

    void run() {
        std::array<epoll_event, 256> events{};
        while (!stopped()) {
            const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 100);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (fd == listener_.get()) {
                    accept_all();
                } else if (Peer* peer = at(fd); peer != nullptr) {
                    if (!serve(*peer)) drop(*peer);
                }
            }
        }
    }

    [[nodiscard]] std::string result() {
        std::uint64_t open = 0;
        for (const auto& peer : peers_) {
            if (!peer || peer->other >= 0) continue;
            ++open;
            count_retransmissions(*peer);
        }
        return R"({"event":"result","accepted":)" + std::to_string(accepted_) +
               ",\"answered\":" + std::to_string(answered_) +
               ",\"wrong\":" + std::to_string(wrong_) + ",\"open\":" + std::to_string(open) +
               ",\"retransmissions\":" + std::to_string(retransmissions_) + '}';
    }

  private:
    Peer* at(int fd) {
        const auto index = static_cast<std::size_t>(fd);
        return index < peers_.size() ? peers_[index].get() : nullptr;
    }

    Peer& add(hamr::UniqueFd fd) {
        const auto index = static_cast<std::size_t>(fd.get());
        if (index >= peers_.size()) peers_.resize(index + 1);
        const int on = 1;
        static_cast<void>(::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        epoll_event event{EPOLLIN, {.fd = fd.get()}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
        peers_[index] = std::make_unique<Peer>(std::move(fd));
        return *peers_[index];
    }

    void drop(Peer& peer) {
        const int other = peer.other;
        if (other < 0) count_retransmissions(peer);
        peers_[static_cast<std::size_t>(peer.fd.get())].reset();
        if (other >= 0) peers_[static_cast<std::size_t>(other)].reset();
    }

    void count_retransmissions(const Peer& peer) {
        tcp_info info{};
        socklen_t length = sizeof info;
        if (::getsockopt(peer.fd.get(), IPPROTO_TCP, TCP_INFO, &info, &length) == 0) {
            retransmissions_ += info.tcpi_total_retrans;
        }
    }

    void accept_all() {
        for (;;) {
            sockaddr_in6 from{};
            socklen_t length = sizeof from;
            hamr::UniqueFd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from),
                                        &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd) return;
            if (relayed_.contains(address_of(from))) {
                relay(std::move(fd));
            } else {
                ++accepted_;
                add(std::move(fd));
            }
        }
    }

    void relay(hamr::UniqueFd fd) {
        ServeExchange way(*relay_to_, Question::header_size, 0);
        auto other = way.connect();
        if (!other) return;
        const int own = fd.get();
        const int there = other->get();
        add(std::move(*other)).other = own;
        add(std::move(fd)).other = there;
    }

    /// False when the connection is to end.
    bool serve(Peer& peer) {
        if (peer.sent < peer.question.answer_length) return answer(peer);
        const ssize_t size = ::recv(peer.fd.get(), buffer_.data(), buffer_.size(), 0);
        if (size <= 0) return size < 0 && errno == EAGAIN;
        const std::span got(buffer_.data(), static_cast<std::size_t>(size));
        if (peer.other >= 0) return send_all(peer.other, got);
        peer.in.insert(peer.in.end(), got.begin(), got.end());
        if (peer.in.size() < Question::header_size) return true;
        const auto question = Question::read(peer.in);
        if (!question) return ++wrong_, false;
        if (peer.in.size() < question->length) return true;
        // Nobody asks again before he has his answer.
        if (peer.in.size() > question->length || !question->filler_is_right(peer.in)) {
            return ++wrong_, false;
        }
        peer.in.clear();
        peer.question = *question;
        peer.sent = 0;
        return answer(peer);
    }

    bool answer(Peer& peer) {
        while (peer.sent < peer.question.answer_length) {
            const auto piece = peer.question.answer_from(peer.sent);
            const ssize_t size = ::send(peer.fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
            if (size < 0 && errno != EAGAIN) return false;
            if (size > 0) peer.sent += static_cast<std::uint64_t>(size);
            if (size < 0) return want_write(peer, true), true;
        }
        ++answered_;
        return want_write(peer, false), true;
    }

    void want_write(Peer& peer, bool on) {
        if (peer.waits_to_write == on) return;
        peer.waits_to_write = on;
        epoll_event event{on ? EPOLLOUT : EPOLLIN, {.fd = peer.fd.get()}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, peer.fd.get(), &event);
    }

    hamr::UniqueFd epoll_;
    hamr::UniqueFd listener_;
    std::set<hamr::IpAddress> relayed_;
    std::optional<hamr::Endpoint> relay_to_;
    std::vector<std::uint8_t> buffer_;
    /// By descriptor.
    std::vector<std::unique_ptr<Peer>> peers_;
    std::uint64_t accepted_ = 0;
    std::uint64_t answered_ = 0;
    std::uint64_t wrong_ = 0;
    std::uint64_t retransmissions_ = 0;
};

}  // namespace

int serve(Args args) {
    const auto port = static_cast<std::uint16_t>(args.integer("--port", 0));
    const bool shared = args.has("--shared");
    std::set<hamr::IpAddress> relayed;
    for (const std::string& text : args.all("--relay-from")) {
        const auto address = hamr::IpAddress::parse(text);
        if (!address) usage_error("--relay-from: not an address: " + text);
        relayed.insert(*address);
    }
    std::optional<hamr::Endpoint> relay_to;
    if (!relayed.empty()) relay_to = args.endpoint("--relay-to");
    args.refuse_unknown();
    auto listener = listen_on(port, shared);
    if (!listener) usage_error(listener.error().message());
    Server server(std::move(*listener), std::move(relayed), relay_to);
    print_ready();
    server.run();
    print_line(server.result());
    return 0;
}

}  // namespace labtool
