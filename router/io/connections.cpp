// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/connections.hpp"

#include "router/io/netlink_parse.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace hamr::router_io {

namespace {

struct CloseNetlink {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Netlink = std::unique_ptr<mnl_socket, CloseNetlink>;

constexpr std::size_t buffer_size = 64 * 1024;
/// So many requests are sent before their answers are read: they fit into any receive buffer.
constexpr std::size_t batch_size = 64;

constexpr std::uint32_t bit(int state) {
    return std::uint32_t{1} << static_cast<unsigned>(state);
}
constexpr std::uint32_t open_states = bit(TCP_ESTABLISHED) | bit(TCP_CLOSE_WAIT);
/// Every state of a connection that a process may still wait for.
constexpr std::uint32_t living_states = open_states | bit(TCP_SYN_SENT) | bit(TCP_SYN_RECV) |
                                        bit(TCP_FIN_WAIT1) | bit(TCP_FIN_WAIT2) |
                                        bit(TCP_LAST_ACK) | bit(TCP_CLOSING);

tl::unexpected<Error> failed(const char* doing, int error) {
    const std::string what = std::string("sock_diag: ") + doing;
    if (error == ENOENT || error == EPROTONOSUPPORT) {
        return fail_errno(what + ": this kernel cannot list TCP sockets (CONFIG_INET_TCP_DIAG)",
                          ENOTSUP);
    }
    return fail_errno(what, error);
}

Result<Netlink> open_netlink() {
    Netlink netlink(mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC));
    if (!netlink) return failed("open", errno);
    if (mnl_socket_bind(netlink.get(), 0, MNL_SOCKET_AUTOPID) != 0) return failed("bind", errno);
    // The kernel answers at once; no kernel's trouble may hold the caller.
    const timeval limit{1, 0};
    ::setsockopt(mnl_socket_get_fd(netlink.get()), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return netlink;
}

/// Calls `each` for every TCP socket of the family in one of the states.
template <class Each>
Result<> dump(mnl_socket* netlink, std::uint8_t family, std::uint32_t states, Each each) {
    std::array<char, 256> request{};
    nlmsghdr* header = mnl_nlmsg_put_header(request.data());
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = family;
    auto* ask = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
    ask->sdiag_family = family;
    ask->sdiag_protocol = IPPROTO_TCP;
    ask->idiag_states = states;
    if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0) return failed("send", errno);

    const auto one = [](const nlmsghdr* message, void* data) {
        if (const auto socket = socket_of(message)) (*static_cast<Each*>(data))(*socket);
        return MNL_CB_OK;
    };
    std::vector<char> buffer(buffer_size);
    for (;;) {
        const ssize_t size = mnl_socket_recvfrom(netlink, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return failed("receive", errno);
        const int next = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), family,
                                    mnl_socket_get_portid(netlink), +one, &each);
        if (next < 0 && errno == EINTR) continue;  // sockets came and went meanwhile
        if (next < 0) return failed("list", errno);
        if (next == MNL_CB_STOP) return {};
    }
}

std::size_t put_destroy(char* buffer, const DiagSocket& socket, std::uint32_t sequence) {
    nlmsghdr* header = mnl_nlmsg_put_header(buffer);
    header->nlmsg_type = SOCK_DESTROY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = sequence;
    auto* ask = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
    ask->sdiag_family = socket.family;
    ask->sdiag_protocol = IPPROTO_TCP;
    ask->idiag_states = living_states;
    ask->id = socket.id;
    return header->nlmsg_len;
}

/// One answer: 0 or an errno.
using Answers = std::vector<int>;

/// Reads `count` answers to requests sent in one go.
Result<Answers> read_answers(mnl_socket* netlink, std::size_t count) {
    Answers answers;
    std::vector<char> buffer(buffer_size);
    while (answers.size() < count) {
        const ssize_t size = mnl_socket_recvfrom(netlink, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return failed("receive", errno);
        int left = static_cast<int>(size);
        auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_type != NLMSG_ERROR) continue;
            answers.push_back(error_of(message));
        }
    }
    return answers;
}

Result<std::size_t> destroy_batch(mnl_socket* netlink, std::span<const DiagSocket> sockets) {
    std::vector<char> requests;
    requests.resize(sockets.size() * MNL_ALIGN(sizeof(nlmsghdr) + sizeof(inet_diag_req_v2)));
    std::size_t length = 0;
    std::uint32_t sequence = 0;
    for (const DiagSocket& socket : sockets) {
        length += MNL_ALIGN(put_destroy(requests.data() + length, socket, ++sequence));
    }
    if (mnl_socket_sendto(netlink, requests.data(), length) < 0) return failed("send", errno);
    const Result<Answers> answers = read_answers(netlink, sockets.size());
    if (!answers) return tl::unexpected<Error>(answers.error());
    std::size_t ended = 0;
    for (const int error : *answers) {
        if (error == 0) ++ended;
        if (error == 0 || error == ENOENT || error == ESTALE) continue;  // gone meanwhile
        if (error == EOPNOTSUPP || error == EINVAL) {
            return fail_errno(
                "this kernel cannot end connections of an address that has moved away "
                "(CONFIG_INET_DIAG_DESTROY)",
                ENOTSUP);
        }
        return fail_errno("ending connections of an address that has moved away", error);
    }
    return ended;
}

}  // namespace

Result<std::size_t> count_connections(std::span<const std::uint16_t> ports) {
    if (ports.empty()) return 0;
    const auto wanted = std::make_unique<std::bitset<65536>>();
    for (const std::uint16_t port : ports) wanted->set(port);
    const Result<Netlink> netlink = open_netlink();
    if (!netlink) return tl::unexpected<Error>(netlink.error());
    std::size_t count = 0;
    for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
        const Result<> listed =
            dump(netlink->get(), family, open_states, [&](const DiagSocket& socket) {
                if (wanted->test(ntohs(socket.id.idiag_sport))) ++count;
            });
        if (!listed) return tl::unexpected<Error>(listed.error());
    }
    return count;
}

Result<std::size_t> destroy_connections(const IpAddress& local) {
    const Result<Netlink> netlink = open_netlink();
    if (!netlink) return tl::unexpected<Error>(netlink.error());
    std::vector<DiagSocket> sockets;
    for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
        if (family == AF_INET && !local.is_v4()) continue;
        const Result<> listed =
            dump(netlink->get(), family, living_states, [&](const DiagSocket& socket) {
                if (is_local(socket, local)) sockets.push_back(socket);
            });
        if (!listed) return tl::unexpected<Error>(listed.error());
    }
    std::size_t ended = 0;
    std::span<const DiagSocket> left(sockets);
    while (!left.empty()) {
        const std::size_t now = std::min(left.size(), batch_size);
        const Result<std::size_t> batch = destroy_batch(netlink->get(), left.first(now));
        if (!batch) return batch;
        ended += *batch;
        left = left.subspan(now);
    }
    return ended;
}

}  // namespace hamr::router_io
