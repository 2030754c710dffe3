// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/conntrack_events.hpp"

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "router/io/conntrack_filter.hpp"
#include "router/ruleset.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
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

using Entry = std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)>;

Endpoint endpoint(const nf_conntrack* entry, nf_conntrack_attr v4, nf_conntrack_attr v6,
                  nf_conntrack_attr port, bool is_v4) {
    Endpoint read;
    read.port = ntohs(nfct_get_attr_u16(entry, port));
    if (is_v4) {
        std::array<std::uint8_t, 4> bytes{};
        const std::uint32_t raw = nfct_get_attr_u32(entry, v4);
        std::memcpy(bytes.data(), &raw, bytes.size());
        read.address = IpAddress::v4(bytes);
    } else {
        std::array<std::uint8_t, 16> bytes{};
        const void* raw = nfct_get_attr(entry, v6);
        if (raw != nullptr) std::memcpy(bytes.data(), raw, bytes.size());
        read.address = IpAddress::v6(bytes);
    }
    return read;
}

router::Translation translation(const nf_conntrack* entry, bool is_v4) {
    constexpr std::uint8_t most_scale = 14;
    router::Translation read;
    read.backend =
        endpoint(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, ATTR_REPL_PORT_SRC, is_v4);
    read.source =
        endpoint(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_DST, is_v4);
    read.timeout_s = nfct_get_attr_u32(entry, ATTR_TIMEOUT);
    read.scale = {std::min(nfct_get_attr_u8(entry, ATTR_TCP_WSCALE_ORIG), most_scale),
                  std::min(nfct_get_attr_u8(entry, ATTR_TCP_WSCALE_REPL), most_scale)};
    read.flags = {nfct_get_attr_u8(entry, ATTR_TCP_FLAGS_ORIG),
                  nfct_get_attr_u8(entry, ATTR_TCP_FLAGS_REPL)};
    return read;
}

/// A TCP entry as a flow.
std::optional<Flow> flow_of(const nlmsghdr* message) {
    const Entry entry(nfct_new(), &nfct_destroy);
    if (!entry || nfct_nlmsg_parse(message, entry.get()) < 0) return {};
    if (nfct_get_attr_u8(entry.get(), ATTR_ORIG_L4PROTO) != IPPROTO_TCP) return {};
    // This host's own half of a connection that another host translates.
    if (nfct_get_attr_u16(entry.get(), ATTR_ZONE) == router::apart_zone) return {};
    const bool is_v4 = nfct_get_attr_u8(entry.get(), ATTR_ORIG_L3PROTO) == AF_INET;
    Flow flow;
    flow.id.client =
        endpoint(entry.get(), ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_PORT_SRC, is_v4);
    flow.id.vip =
        endpoint(entry.get(), ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_DST, is_v4);
    const std::uint8_t state = nfct_get_attr_u8(entry.get(), ATTR_TCP_STATE);
    flow.state = static_cast<router::TcpState>(std::min(state, router::max_tcp_state));
    if ((nfct_get_attr_u32(entry.get(), ATTR_STATUS) & IPS_DST_NAT) != 0) {
        flow.translation = translation(entry.get(), is_v4);
    }
    return flow;
}

}  // namespace

class ConntrackEvents::Impl : public std::enable_shared_from_this<ConntrackEvents::Impl> {
  public:
    Impl(asio::any_io_executor executor, std::vector<IpAddress> vips, Events events, int buffer)
        : receive_buffer_(buffer),
          vips_(std::move(vips)),
          events_(std::move(events)),
          live_(executor),
          dump_(executor),
          timer_(executor) {}

    Result<> start();
    void stop();
    void resync() {
        if (!stopped_) dump_later(Duration::zero());
    }

    std::uint64_t missed_ = 0;

  private:
    void listen();
    void read_events();
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
    error_code ignored;
    live_.close(ignored);
    dump_.close(ignored);
}

void ConntrackEvents::Impl::listen() {
    live_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](error_code error) {
                         if (error || self->stopped_) return;
                         self->read_events();
                         if (!self->stopped_) self->listen();
                     });
}

void ConntrackEvents::Impl::read_events() {
    for (int i = 0; i < events_at_once && !stopped_; ++i) {
        const ssize_t size =
            ::recv(live_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size < 0 && errno == ENOBUFS) {
            ++missed_;
            dump_later(pause_);
            pause_ = std::min(pause_ * 2, longest_pause);
            continue;
        }
        if (size <= 0) return;
        int left = static_cast<int>(size);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            one_event(message);
            if (stopped_) return;
        }
    }
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
            const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
            return dump_failed(std::strerror(-error->error));
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

}  // namespace hamr::router_io
