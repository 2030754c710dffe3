// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/tickle.hpp"

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "router/tickle_packet.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t packets_at_once = 64;
constexpr std::size_t packets_a_turn = 512;
constexpr std::size_t most_waiting = 400'000;
constexpr int send_buffer = 4 * 1024 * 1024;

struct Target {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

/// Raw sockets want the port to be 0.
Target target(const IpAddress& address) {
    Target made;
    const auto& bytes = address.bytes();
    if (address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        std::memcpy(&v4.sin_addr, bytes.data(), sizeof v4.sin_addr);
        std::memcpy(&made.storage, &v4, sizeof v4);
        made.length = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        std::memcpy(&v6.sin6_addr, bytes.data(), sizeof v6.sin6_addr);
        std::memcpy(&made.storage, &v6, sizeof v6);
        made.length = sizeof v6;
    }
    return made;
}

/// IPPROTO_RAW: the packet brings its own header, and nothing is ever received.
Result<UniqueFd> raw_socket(const IpAddress& vip) {
    const bool v4 = vip.is_v4();
    UniqueFd fd(
        ::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
    if (!fd) return fail_errno("raw socket (needs CAP_NET_RAW)", errno);
    constexpr int on = 1;
    // Without it a packet that the gate drops would count as sent.
    ::setsockopt(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on,
                 sizeof on);
    ::setsockopt(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_FREEBIND : IPV6_FREEBIND, &on,
                 sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    const Target own = target(vip);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own.storage), own.length) != 0) {
        return fail_errno("raw socket of " + vip.to_string(), errno);
    }
    return fd;
}

}  // namespace

class Tickler::Impl : public std::enable_shared_from_this<Tickler::Impl> {
  public:
    explicit Impl(asio::any_io_executor executor) : timer_(std::move(executor)) {}

    void send(const std::vector<router::FlowId>& flows, bool far) {
        for (const router::FlowId& flow : flows) {
            if (waiting_.size() >= most_waiting) {
                ++unsent_;
                reason_ = "too many wait";
                continue;
            }
            waiting_.push_back({flow, far});
        }
        go_on();
    }

    void stop() {
        waiting_.clear();
        sockets_.clear();
        timer_.cancel();
    }

    struct Order {
        router::FlowId flow;
        bool far = false;
    };
    std::deque<Order> waiting_;
    std::uint64_t sent_ = 0;
    std::uint64_t unsent_ = 0;
    std::string reason_;

  private:
    void go_on() {
        if (std::exchange(posted_, true)) return;
        asio::post(timer_.get_executor(), [self = shared_from_this()] {
            self->posted_ = false;
            self->turn();
        });
    }

    void turn() {
        for (std::size_t done = 0; done < packets_a_turn && !waiting_.empty();) {
            const std::size_t batch = send_batch();
            if (batch == 0) return wait_for_room();
            done += batch;
        }
        if (!waiting_.empty()) return go_on();
        sockets_.clear();
    }

    void wait_for_room() {
        timer_.expires_after(std::chrono::milliseconds(1));
        timer_.async_wait([self = shared_from_this()](error_code error) {
            if (!error) self->turn();
        });
    }

    /// Sends from the front, as long as it is for one VIP; how many are dealt with.
    std::size_t send_batch() {
        const IpAddress vip = waiting_.front().flow.vip.address;
        const int fd = socket_of(vip);
        if (fd < 0) {
            ++unsent_;
            waiting_.pop_front();
            return 1;
        }
        std::array<router::TicklePacket, packets_at_once> packets;
        std::array<Target, packets_at_once> targets;
        std::array<iovec, packets_at_once> pieces{};
        std::array<mmsghdr, packets_at_once> messages{};
        std::size_t count = 0;
        for (; count < packets_at_once && count < waiting_.size(); ++count) {
            const Order& order = waiting_[count];
            if (order.flow.vip.address != vip) break;
            packets[count] = router::tickle_packet(order.flow.vip, order.flow.client, order.far);
            targets[count] = target(order.flow.client.address);
            pieces[count] = {packets[count].bytes.data(), packets[count].size};
            msghdr& header = messages[count].msg_hdr;
            header.msg_name = &targets[count].storage;
            header.msg_namelen = targets[count].length;
            header.msg_iov = &pieces[count];
            header.msg_iovlen = 1;
        }
        const int rc = ::sendmmsg(fd, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
        const int error = errno;
        if (rc > 0) {
            sent_ += static_cast<std::uint64_t>(rc);
            pop(static_cast<std::size_t>(rc));
            return static_cast<std::size_t>(rc);
        }
        if (error == EAGAIN) return 0;
        // The first one cannot be sent: the others may.
        ++unsent_;
        reason_ =
            error == ENOBUFS ? "dropped on its way out: is the gate shut?" : std::strerror(error);
        pop(1);
        return 1;
    }

    void pop(std::size_t count) {
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    }

    int socket_of(const IpAddress& vip) {
        const auto found = sockets_.find(vip);
        if (found != sockets_.end()) return found->second.get();
        auto fd = raw_socket(vip);
        if (!fd) reason_ = fd.error().message();
        const auto made = sockets_.emplace(vip, fd ? std::move(*fd) : UniqueFd()).first;
        return made->second.get();
    }

    asio::steady_timer timer_;
    /// Open while something waits; -1 where that failed.
    std::map<IpAddress, UniqueFd> sockets_;
    bool posted_ = false;
};

Tickler::Tickler(asio::any_io_executor executor)
    : impl_(std::make_shared<Impl>(std::move(executor))) {}

Tickler::~Tickler() {
    impl_->stop();
}

void Tickler::send(const std::vector<router::FlowId>& flows, bool far) {
    impl_->send(flows, far);
}

void Tickler::stop() {
    impl_->stop();
}

bool Tickler::idle() const {
    return impl_->waiting_.empty();
}

std::uint64_t Tickler::sent() const {
    return impl_->sent_;
}

std::uint64_t Tickler::unsent() const {
    return impl_->unsent_;
}

std::string Tickler::reason() const {
    return impl_->reason_;
}

}  // namespace hamr::router_io
