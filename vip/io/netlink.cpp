// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/io/netlink.hpp"

#include "base/unique_fd.hpp"
#include "vip/io/netlink_parse.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <pthread.h>
#include <sys/socket.h>

namespace hamr::vip {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int receive_buffer = 1 << 20;
constexpr std::size_t largest_datagram = 64 * 1024;  // the kernel's dumps use 32 KiB at most
constexpr std::size_t largest_batch = 512;
constexpr auto dump_retry = std::chrono::milliseconds{50};

Result<UniqueFd> open_socket() {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (!fd) return fail_errno("netlink socket", errno);
    // Best effort: without CAP_NET_ADMIN the host's limit applies.
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer,
                     sizeof receive_buffer) != 0) {
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const int on = 1;
    ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    sockaddr_nl self{};
    self.nl_family = AF_NETLINK;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
        return fail_errno("netlink bind", errno);
    }
    for (const int group : {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_TC}) {
        if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) !=
            0) {
            return fail_errno("netlink group " + std::to_string(group), errno);
        }
    }
    return fd;
}

}  // namespace

/// The private thread and what it owns. Members below the line are its own.
class Netlink::Worker {
  public:
    Worker(UniqueFd fd, asio::any_io_executor executor, OnEvents on_events)
        : executor_(std::move(executor)),
          owner_(std::make_shared<Owner>(Owner{std::move(on_events)})),
          guard_(asio::make_work_guard(context_)),
          socket_(context_, fd.release()),
          retry_(context_) {}

    void run() {
        asio::post(context_, [this] {
            dump();
            wait();
        });
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this] {
            ::pthread_setname_np(::pthread_self(), "hamr-netlink");
            context_.run();
        });
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    ~Worker() {
        owner_.reset();  // what has been posted and not run yet finds nobody
        context_.stop();
        if (thread_.joinable()) thread_.join();
    }

    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void request(bool add, InterfaceIndex index, const IpPrefix& prefix, Completion completion) {
        asio::post(context_, [this, request = Request{add, index, prefix, std::move(completion)},
                              owner = std::weak_ptr<Owner>(owner_)]() mutable {
            request.owner = std::move(owner);
            begin(std::move(request));
        });
    }

    void refresh() {
        asio::post(context_, [this] { dump(); });
    }

    [[nodiscard]] std::uint64_t overflows() const { return overflows_.load(); }

  private:
    struct Owner {
        OnEvents on_events;
    };
    struct Request {
        bool add = false;
        InterfaceIndex index;
        IpPrefix prefix;
        Completion completion;
        std::weak_ptr<Owner> owner{};
    };
    enum class Dump { none, links, addresses };

    // --- the private thread only -----------------------------------------------------------------

    void begin(Request request) {
        const std::uint32_t sequence = ++sequence_;
        const auto message = request.add
                                 ? add_address_request(sequence, request.index, request.prefix)
                                 : remove_address_request(sequence, request.index, request.prefix);
        const auto it = requests_.emplace(sequence, std::move(request)).first;
        if (const int error = send(message); error != 0) end(it, error);
        drain();  // the answer is there already: the kernel works inside sendmsg()
    }

    int send(std::span<const std::byte> message) {
        sockaddr_nl kernel{};
        kernel.nl_family = AF_NETLINK;
        ssize_t sent = 0;
        do {
            sent = ::sendto(socket_.native_handle(), message.data(), message.size(), 0,
                            reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
        } while (sent < 0 && errno == EINTR);
        return sent < 0 ? errno : 0;
    }

    void end(std::map<std::uint32_t, Request>::iterator it, int error) {
        Request request = std::move(it->second);
        requests_.erase(it);
        if (error == EEXIST && request.add) error = 0;
        if ((error == EADDRNOTAVAIL || error == ENODEV) && !request.add) error = 0;
        Result<> result;
        if (error != 0) {
            result = fail_errno((request.add ? "add " : "remove ") + request.prefix.to_string() +
                                    " on interface " + std::to_string(request.index.value),
                                error);
        }
        flush();  // what it did comes before that it is done
        asio::post(executor_,
                   [owner = std::move(request.owner), completion = std::move(request.completion),
                    result = std::move(result)] {
                       if (const auto alive = owner.lock()) completion(result);
                   });
    }

    void flush() {
        if (batch_.empty()) return;
        asio::post(executor_, [owner = weak_owner_, batch = std::exchange(batch_, {})] {
            if (const auto alive = owner.lock()) alive->on_events(batch);
        });
    }

    void dump() {
        if (phase_ != Dump::none) {
            again_ = true;
            return;
        }
        again_ = false;
        batch_.emplace_back(SnapshotBegin{});
        ask(Dump::links, RTM_GETLINK);
    }

    void ask(Dump phase, int type) {
        phase_ = phase;
        dump_sequence_ = ++sequence_;
        interrupted_ = false;
        if (send(dump_request(dump_sequence_, type)) != 0) dump_failed();
    }

    void dump_failed() {
        phase_ = Dump::none;
        retry_.expires_after(dump_retry);
        retry_.async_wait([this](error_code error) {
            if (!error) dump();
        });
    }

    void dump_part_done() {
        if (interrupted_ || again_) {
            phase_ = Dump::none;
            dump();
        } else if (phase_ == Dump::links) {
            ask(Dump::addresses, RTM_GETADDR);
        } else {
            phase_ = Dump::none;
            batch_.emplace_back(SnapshotEnd{});
        }
    }

    void wait() {
        socket_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
            if (error) return;
            drain();
            wait();
        });
    }

    void drain() {
        while (receive()) {
            if (batch_.size() >= largest_batch) flush();
        }
        flush();
    }

    /// One datagram; false when there is none.
    bool receive() {
        sockaddr_nl from{};
        socklen_t from_size = sizeof from;
        const ssize_t size =
            ::recvfrom(socket_.native_handle(), buffer_.data(), buffer_.size(),
                       MSG_TRUNC | MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_size);
        if (size < 0) {
            if (errno == ENOBUFS) lost();
            return errno == ENOBUFS || errno == EINTR;
        }
        if (from.nl_pid != 0) return true;  // not the kernel
        if (static_cast<std::size_t>(size) > buffer_.size()) {
            lost();
            return true;
        }
        auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data());
        for (int left = static_cast<int>(size); ::nlmsg_ok(message, left) != 0;
             message = ::nlmsg_next(message, &left)) {
            handle(message);
        }
        return true;
    }

    void handle(nlmsghdr* message) {
        const bool of_dump = phase_ != Dump::none && message->nlmsg_seq == dump_sequence_ &&
                             (message->nlmsg_flags & NLM_F_MULTI) != 0;
        if (of_dump && (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
        if (message->nlmsg_type == NLMSG_DONE) {
            if (of_dump) dump_part_done();
        } else if (message->nlmsg_type == NLMSG_ERROR) {
            if (::nlmsg_datalen(message) < static_cast<int>(sizeof(int))) return;
            int negative = 0;
            std::memcpy(&negative, ::nlmsg_data(message), sizeof negative);
            answered(message->nlmsg_seq, -negative);
        } else if (auto event = parse_kernel_message(message)) {
            batch_.push_back(std::move(*event));
        }
    }

    void answered(std::uint32_t sequence, int error) {
        if (const auto it = requests_.find(sequence); it != requests_.end()) {
            end(it, error);
        } else if (phase_ != Dump::none && sequence == dump_sequence_ && error != 0) {
            dump_failed();
        }
    }

    /// Events, and perhaps acknowledgements, did not fit into the socket's queue.
    void lost() {
        ++overflows_;
        while (!requests_.empty()) end(requests_.begin(), ENOBUFS);
        dump();
    }

    const asio::any_io_executor executor_;
    std::shared_ptr<Owner> owner_;
    const std::weak_ptr<Owner> weak_owner_{owner_};
    std::atomic<std::uint64_t> overflows_{0};
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    asio::posix::stream_descriptor socket_;
    asio::steady_timer retry_;
    std::map<std::uint32_t, Request> requests_;
    std::vector<KernelEvent> batch_;
    std::uint32_t sequence_ = 0;
    std::uint32_t dump_sequence_ = 0;
    Dump phase_ = Dump::none;
    bool again_ = false;
    bool interrupted_ = false;
    alignas(nlmsghdr) std::array<std::byte, largest_datagram> buffer_;
    std::thread thread_;
};

Result<std::unique_ptr<Netlink>> Netlink::open(asio::any_io_executor executor, OnEvents on_events) {
    auto fd = open_socket();
    if (!fd) return tl::unexpected(fd.error());
    auto worker =
        std::make_unique<Worker>(std::move(*fd), std::move(executor), std::move(on_events));
    worker->run();
    return std::unique_ptr<Netlink>(new Netlink(std::move(worker)));
}

Netlink::Netlink(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}
Netlink::~Netlink() = default;

void Netlink::add_address(InterfaceIndex index, const IpPrefix& prefix, Completion completion) {
    worker_->request(true, index, prefix, std::move(completion));
}

void Netlink::remove_address(InterfaceIndex index, const IpPrefix& prefix, Completion completion) {
    worker_->request(false, index, prefix, std::move(completion));
}

void Netlink::refresh() {
    worker_->refresh();
}

std::uint64_t Netlink::overflows() const {
    return worker_->overflows();
}

}  // namespace hamr::vip
