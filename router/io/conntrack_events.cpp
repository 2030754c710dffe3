// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/conntrack_events.hpp"

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "router/io/conntrack_filter.hpp"
#include "router/io/netlink_parse.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

namespace hamr::router_io {

namespace asio = boost::asio;
using boost::system::error_code;
using router::Flow;
using router::FlowId;
using router::Heard;

namespace {

constexpr int events_at_once = 256;
constexpr Duration first_pause = std::chrono::milliseconds(20);
constexpr Duration longest_pause = std::chrono::seconds(5);

/// How often the rate of events is looked at, and from how many a second on they are not read one
/// by one, since each reading wakes this program up: what has ended when it is read costs little.
constexpr Duration window = std::chrono::milliseconds(50);
constexpr double many_a_second = 1000;
/// At 20,000 events a second, some 5,000 connections that are opened and closed.
constexpr Duration longest_rest = std::chrono::milliseconds(20);

}  // namespace

class ConntrackEvents::Impl : public std::enable_shared_from_this<ConntrackEvents::Impl> {
  public:
    Impl(asio::any_io_executor executor, std::vector<IpAddress> vips, Events events, int buffer)
        : receive_buffer_(buffer),
          vips_(std::move(vips)),
          events_(std::move(events)),
          live_(executor),
          dump_(executor),
          timer_(executor),
          rest_timer_(executor) {}

    Result<> start();
    void stop();
    void resync() {
        if (!stopped_) dump_later(Duration::zero());
    }

    std::uint64_t missed_ = 0;
    BootTime since_ = BootClock::now();

  private:
    void listen();
    void look();
    /// False when there may be more to read.
    [[nodiscard]] bool read_events();
    void rest();
    void wake_after(Duration pause);
    void wake();
    [[nodiscard]] Duration rest_now(BootTime now);
    void one_event(const nlmsghdr* message);
    void dump_later(Duration pause);
    void dump();
    [[nodiscard]] Result<> ask();
    void await_dump();
    void read_dump();
    void dump_ended();
    void dump_failed(const std::string& what);

    int receive_buffer_;
    std::vector<IpAddress> vips_;
    Events events_;
    asio::posix::stream_descriptor live_;
    asio::posix::stream_descriptor dump_;
    asio::steady_timer timer_;
    asio::steady_timer rest_timer_;
    UniqueFd resting_;  ///< the socket of events while nothing is read
    BootTime window_began_ = BootClock::now();
    unsigned in_window_ = 0;  ///< events
    Duration rest_{};
    alignas(nlmsghdr) std::array<char, 65536> buffer_{};
    Duration pause_ = first_pause;
    bool dumping_ = false;
    bool again_ = false;
    bool troubled_ = false;
    bool stopped_ = true;
};

// Events ------------------------------------------------------------------------------------------

Result<> ConntrackEvents::Impl::start() {
    auto fd = open_conntrack_socket();
    if (!fd) return tl::unexpected(fd.error());
    if (::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_,
                     sizeof receive_buffer_) != 0) {
        ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_, sizeof receive_buffer_);
    }
    if (auto filtered = attach_conntrack_filter(fd->get(), vips_); !filtered) return filtered;
    for (const int group :
         {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY}) {
        if (::setsockopt(fd->get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) !=
            0) {
            return fail_errno("listen to connection tracking", errno);
        }
    }
    error_code error;
    live_.assign(fd->get(), error);
    if (error) return fail("listen to connection tracking: " + error.message());
    (void)fd->release();
    stopped_ = false;
    listen();
    dump_later(Duration::zero());
    return {};
}

void ConntrackEvents::Impl::stop() {
    stopped_ = true;
    timer_.cancel();
    rest_timer_.cancel();
    resting_.reset();
    error_code ignored;
    live_.close(ignored);
    dump_.close(ignored);
}

void ConntrackEvents::Impl::listen() {
    live_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](error_code error) {
                         if (error || self->stopped_) return;
                         self->since_ = BootClock::now();
                         self->look();
                     });
}

void ConntrackEvents::Impl::look() {
    const bool all = read_events();
    if (stopped_) return;
    if (all) return rest();
    // What else wants to be done comes first.
    asio::post(timer_.get_executor(), [self = shared_from_this()] {
        if (!self->stopped_) self->look();
    });
}

bool ConntrackEvents::Impl::read_events() {
    for (int i = 0; i < events_at_once && !stopped_; ++i) {
        const ssize_t size =
            ::recv(live_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size < 0 && errno == ENOBUFS) {
            ++missed_;
            dump_later(pause_);
            pause_ = std::min(pause_ * 2, longest_pause);
            continue;
        }
        if (size <= 0) return true;
        ++in_window_;
        int left = static_cast<int>(size);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            one_event(message);
            if (stopped_) return true;
        }
    }
    return false;
}

/// All has been read. When there is much, the next look comes a little later.
void ConntrackEvents::Impl::rest() {
    const BootTime now = BootClock::now();
    const Duration pause = rest_now(now);
    if (pause == Duration::zero()) return listen();
    since_ = now;
    // A descriptor that the reactor knows wakes it up for each event, whether it is waited for or
    // not.
    resting_ = UniqueFd(live_.release());
    wake_after(pause);
}

void ConntrackEvents::Impl::wake_after(Duration pause) {
    rest_timer_.expires_after(pause);
    rest_timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error && !self->stopped_) self->wake();
    });
}

void ConntrackEvents::Impl::wake() {
    error_code error;
    live_.assign(resting_.get(), error);
    // Out of memory for the reactor: nothing is lost, the kernel's buffer takes it.
    if (error) return wake_after(longest_rest);
    (void)resting_.release();
    look();
}

Duration ConntrackEvents::Impl::rest_now(BootTime now) {
    const Duration elapsed = now - window_began_;
    if (elapsed < window) return rest_;
    const double rate = in_window_ / std::chrono::duration<double>(elapsed).count();
    window_began_ = now;
    in_window_ = 0;
    const auto due = std::chrono::duration<double>(rate / many_a_second / 1000);
    rest_ = rate < many_a_second
                ? Duration::zero()
                : std::min(longest_rest, std::chrono::duration_cast<Duration>(due));
    return rest_;
}

void ConntrackEvents::Impl::one_event(const nlmsghdr* message) {
    if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK) return;
    const auto flow = flow_of(message);
    if (!flow) return;
    const auto type = NFNL_MSG_TYPE(message->nlmsg_type);
    if (type == IPCTNL_MSG_CT_DELETE) return events_.gone(flow->id);
    if (type != IPCTNL_MSG_CT_NEW) return;
    const bool is_new = (message->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) != 0;
    // An update without a state says nothing of interest.
    if (!is_new && flow->state == router::TcpState::none) return;
    events_.heard(*flow, is_new ? Heard::begun : Heard::changed);
}

// The dump ----------------------------------------------------------------------------------------

void ConntrackEvents::Impl::dump_later(Duration pause) {
    if (dumping_) {
        again_ = true;
        return;
    }
    dumping_ = true;
    timer_.expires_after(pause);
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error && !self->stopped_) self->dump();
    });
}

void ConntrackEvents::Impl::dump() {
    again_ = false;
    if (const auto asked = ask(); !asked) return dump_failed(asked.error().message());
    events_.begin_dump();
    await_dump();
}

Result<> ConntrackEvents::Impl::ask() {
    auto fd = open_conntrack_socket();
    if (!fd) return tl::unexpected(fd.error());
    alignas(nlmsghdr) std::array<char, 64> request{};
    nlmsghdr* header = mnl_nlmsg_put_header(request.data());
    header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    family->nfgen_family = AF_UNSPEC;
    family->version = NFNETLINK_V0;
    if (::send(fd->get(), header, header->nlmsg_len, 0) < 0) {
        return fail_errno("read the table of connections", errno);
    }
    error_code error;
    dump_.assign(fd->get(), error);
    if (error) return fail("read the table of connections: " + error.message());
    (void)fd->release();
    return {};
}

void ConntrackEvents::Impl::await_dump() {
    dump_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](error_code error) {
                         if (!error && !self->stopped_) self->read_dump();
                     });
}

void ConntrackEvents::Impl::read_dump() {
    const ssize_t size =
        ::recv(dump_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN) return dump_failed(std::strerror(errno));
    int left = size > 0 ? static_cast<int>(size) : 0;
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_type == NLMSG_DONE) return dump_ended();
        if (message->nlmsg_type == NLMSG_ERROR) {
            return dump_failed(std::strerror(error_of(message)));
        }
        const auto flow = flow_of(message);
        const bool ours =
            flow && std::find(vips_.begin(), vips_.end(), flow->id.vip.address) != vips_.end();
        if (ours) events_.heard(*flow, Heard::dumped);
        if (stopped_) return;
    }
    await_dump();
}

void ConntrackEvents::Impl::dump_ended() {
    error_code ignored;
    dump_.close(ignored);
    dumping_ = false;
    events_.end_dump();
    if (std::exchange(troubled_, false)) events_.trouble("");
    if (stopped_) return;
    if (again_) return dump_later(pause_);
    pause_ = first_pause;
}

void ConntrackEvents::Impl::dump_failed(const std::string& what) {
    error_code ignored;
    dump_.close(ignored);
    dumping_ = false;
    troubled_ = true;
    events_.trouble("the table of connections cannot be read: " + what);
    if (!stopped_) dump_later(std::chrono::seconds(1));
}

// The face ----------------------------------------------------------------------------------------

ConntrackEvents::ConntrackEvents(asio::any_io_executor executor, std::vector<IpAddress> vips,
                                 Events events, int buffer)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(vips), std::move(events),
                                   buffer)) {}

ConntrackEvents::~ConntrackEvents() {
    impl_->stop();
}

Result<> ConntrackEvents::start() {
    return impl_->start();
}

void ConntrackEvents::stop() {
    impl_->stop();
}

void ConntrackEvents::resync() {
    impl_->resync();
}

std::uint64_t ConntrackEvents::missed() const {
    return impl_->missed_;
}

BootTime ConntrackEvents::since() const {
    return impl_->since_;
}

}  // namespace hamr::router_io
