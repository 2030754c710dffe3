// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/io/claim_listener.hpp"

#include "base/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

namespace hamr::vip {

namespace asio = boost::asio;

namespace {

using Program = std::vector<sock_filter>;

constexpr std::uint32_t accept_bytes = 512;
constexpr std::uint32_t arp_sender_at = 14 + 14;
constexpr std::uint32_t ip6_next_header_at = 14 + 6;
constexpr std::uint32_t icmp6_type_at = 14 + 40;
constexpr std::uint32_t nd_target_at = 14 + 40 + 8;

sock_filter load_byte(std::uint32_t at) {
    return {BPF_LD | BPF_B | BPF_ABS, 0, 0, at};
}
sock_filter load_word(std::uint32_t at) {
    return {BPF_LD | BPF_W | BPF_ABS, 0, 0, at};
}
sock_filter skip_unless(std::uint32_t value, std::size_t count) {
    return {BPF_JMP | BPF_JEQ | BPF_K, 0, static_cast<std::uint8_t>(count), value};
}
sock_filter skip_if(std::uint32_t value, std::size_t count) {
    return {BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint8_t>(count), 0, value};
}
sock_filter finish(std::uint32_t bytes) {
    return {BPF_RET | BPF_K, 0, 0, bytes};
}

/// The last four bytes of an address, where the addresses of one network differ.
std::uint32_t last_word(const IpAddress& address) {
    const auto first = address.bytes().begin() + (address.is_v4() ? 0 : 12);
    return std::accumulate(
        first, first + 4, std::uint32_t{0},
        [](std::uint32_t value, std::uint8_t byte) { return value << 8 | byte; });
}

/// "If the last word of the address, at `at`, is one of these, accept": two instructions for each,
/// since a filter's memory is limited (net.core.optmem_max). hear() compares the rest.
void accept_address(Program& program, std::uint32_t at, std::span<const IpAddress> addresses,
                    Family family) {
    program.push_back(load_word(at));
    for (const IpAddress& address : addresses) {
        if (address.family() != family) continue;
        program.push_back(skip_unless(last_word(address), 1));
        program.push_back(finish(accept_bytes));
    }
}

Program arp_filter(std::span<const IpAddress> addresses) {
    Program program;
    accept_address(program, arp_sender_at, addresses, Family::ipv4);
    program.push_back(finish(0));
    return program;
}

/// Neighbour advertisements by their target. Solicitations carry the sender's own address as
/// source; one whose source is ours is a claim too, but its filter would double the program: a host
/// that holds the address answers for it as well.
Program nd_filter(std::span<const IpAddress> addresses) {
    constexpr std::uint32_t icmpv6 = 58;
    constexpr std::uint32_t advertisement = 136;
    Program program{load_byte(ip6_next_header_at), skip_unless(icmpv6, 2), load_byte(icmp6_type_at),
                    skip_if(advertisement, 1)};
    program.push_back(finish(0));
    accept_address(program, nd_target_at + 12, addresses, Family::ipv6);
    program.push_back(finish(0));
    return program;
}

Result<UniqueFd> open_filtered(int protocol, InterfaceIndex index, Program program) {
    // Protocol 0 first: nothing arrives before the filter is there.
    UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        const int error = errno;
        return fail_errno(error == EPERM ? "packet socket (needs CAP_NET_RAW)" : "packet socket",
                          error);
    }
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
        return fail_errno("socket filter", errno);
    }
    sockaddr_ll self{};
    self.sll_family = AF_PACKET;
    self.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
    self.sll_ifindex = index.value;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
        return fail_errno("listen on interface " + std::to_string(index.value), errno);
    }
    return fd;
}

}  // namespace

/// One socket.
struct ClaimListener::Ear {
    asio::posix::stream_descriptor socket;
};

struct ClaimListener::Shared : std::enable_shared_from_this<ClaimListener::Shared> {
    InterfaceIndex index;
    OnClaim on_claim;
    std::vector<IpAddress> addresses;
    std::vector<Ear> ears;
    bool closed = false;

    bool listened_for(const IpAddress& address) const {
        return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    }

    void wait(std::size_t ear) {
        ears[ear].socket.async_wait(
            asio::posix::stream_descriptor::wait_read,
            [self = shared_from_this(), ear](boost::system::error_code error) {
                if (error || self->closed) return;
                self->hear(ear);
                if (!self->closed) self->wait(ear);
            });
    }

    void hear(std::size_t ear) {
        std::array<std::byte, accept_bytes> buffer{};
        for (int i = 0; i < frames_per_wake && !closed; ++i) {
            const ssize_t size = ::recv(ears[ear].socket.native_handle(), buffer.data(),
                                        buffer.size(), MSG_DONTWAIT);
            if (size < 0) return;  // EAGAIN; ENETDOWN, once, when the interface goes down
            const auto claim = parse_claim(Bytes(buffer).first(static_cast<std::size_t>(size)));
            if (claim && listened_for(claim->address)) on_claim(index, *claim);
        }
    }
};

Result<ClaimListener> ClaimListener::open(const asio::any_io_executor& executor,
                                          InterfaceIndex index,
                                          std::span<const IpAddress> addresses, OnClaim on_claim) {
    if (addresses.size() > most_addresses) {
        return fail("more than " + std::to_string(most_addresses) + " addresses to listen for");
    }
    auto shared = std::make_shared<Shared>();
    shared->index = index;
    shared->on_claim = std::move(on_claim);
    shared->addresses.assign(addresses.begin(), addresses.end());
    const auto any = [&](Family family) {
        return std::any_of(addresses.begin(), addresses.end(),
                           [&](const IpAddress& address) { return address.family() == family; });
    };
    const auto add = [&](int protocol, Program program) -> Result<> {
        auto fd = open_filtered(protocol, index, std::move(program));
        if (!fd) return tl::unexpected(fd.error());
        shared->ears.push_back(Ear{asio::posix::stream_descriptor(executor, fd->release())});
        return {};
    };
    Result<> result;
    if (any(Family::ipv4)) result = add(ETH_P_ARP, arp_filter(addresses));
    if (result && any(Family::ipv6)) result = add(ETH_P_IPV6, nd_filter(addresses));
    if (!result) return tl::unexpected(result.error());
    for (std::size_t ear = 0; ear < shared->ears.size(); ++ear) shared->wait(ear);
    return ClaimListener(std::move(shared));
}

ClaimListener::ClaimListener(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
ClaimListener::ClaimListener(ClaimListener&&) noexcept = default;

ClaimListener& ClaimListener::operator=(ClaimListener&& other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
}

ClaimListener::~ClaimListener() {
    if (!shared_) return;
    shared_->closed = true;
    for (Ear& ear : shared_->ears) ear.socket.close();
}

}  // namespace hamr::vip
