// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/vip/netns.hpp"

#include "base/clock.hpp"
#include "vip/frames.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

namespace hamr::vip::test {

namespace {

constexpr const char* make_network =
    "ip link set lo up && "
    "ip link add near address 02:00:5e:00:53:01 type veth peer name far "
    "address 02:00:5e:00:53:02 && "
    "sysctl -qw net.ipv6.conf.far.disable_ipv6=1 && "
    "ip address add 192.0.2.11/24 dev near && "
    "ip address add 2001:db8::11/64 dev near nodad && "
    "ip link set far up && ip link set near up && "
    "ip neighbour add 192.0.2.1 lladdr 02:00:5e:00:53:02 dev near && "
    "ip neighbour add 2001:db8::1 lladdr 02:00:5e:00:53:02 dev near";

// The kernel finishes some of this in workers: an interface whose carrier came up sends nothing
// before it has its queue, and an IPv6 address answers nothing before it has its local route.
// Setting the alias takes the RTNL lock, under which the queue is made.
constexpr const char* network_is_ready =
    "ip -br link show dev far | grep -q ' UP ' && ip -br link show dev near | grep -q ' UP ' && "
    "ip link set far alias far";

const IpAddress peer4 = *IpAddress::parse("192.0.2.1");
const IpAddress peer6 = *IpAddress::parse("2001:db8::1");
const MacAddress far_mac = *MacAddress::parse("02:00:5e:00:53:02");

void append(Octets& to, Bytes more) {
    to.insert(to.end(), more.begin(), more.end());
}
void append16(Octets& to, unsigned value) {
    to.push_back(static_cast<std::byte>(value >> 8 & 0xff));
    to.push_back(static_cast<std::byte>(value & 0xff));
}

Bytes raw(const IpAddress& address) {
    return std::as_bytes(std::span(address.bytes()).first(address.is_v4() ? 4 : 16));
}

bool has_at(const Octets& frame, std::size_t at, const IpAddress& address) {
    const Bytes wanted = raw(address);
    return frame.size() >= at + wanted.size() &&
           std::equal(wanted.begin(), wanted.end(),
                      frame.begin() + static_cast<std::ptrdiff_t>(at));
}

/// The next frame, or an empty one. The kernel takes a VLAN tag out on reception and tells of it
/// beside the frame: it is put back.
Octets receive(int fd) {
    Octets frame(2048);
    iovec part{frame.data(), frame.size()};
    alignas(cmsghdr) std::array<std::byte, 256> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0) return {};
    frame.resize(static_cast<std::size_t>(size));
    const cmsghdr* extra = CMSG_FIRSTHDR(&message);
    if (extra == nullptr || extra->cmsg_type != PACKET_AUXDATA) return frame;
    tpacket_auxdata data{};
    std::memcpy(&data, CMSG_DATA(extra), sizeof data);
    if ((data.tp_status & TP_STATUS_VLAN_VALID) == 0 || frame.size() < 12) return frame;
    Octets tag;
    append16(tag, data.tp_vlan_tpid);
    append16(tag, data.tp_vlan_tci);
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
}

}  // namespace

void in_namespace(const std::function<void()>& body) {
    std::thread([&] {
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
        ::sched_setaffinity(0, sizeof one, &one);
        ASSERT_TRUE(shell(make_network));
        ASSERT_TRUE(becomes_true(network_is_ready));
        ASSERT_TRUE(answers_for("2001:db8::11"));
        body();
    }).join();
}

bool shell(const std::string& command) {
    return std::system(command.c_str()) == 0;
}

bool becomes_true(const std::string& command) {
    const BootTime deadline = BootClock::now() + patience;
    while (!shell(command)) {
        if (BootClock::now() > deadline) return false;
    }
    return true;
}

bool answers_for(const std::string& ipv6) {
    return becomes_true("ip -6 route show table local | grep -q '^local " + ipv6 + " '");
}

std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
    std::string out;
    std::array<char, 4096> part{};
    while (pipe != nullptr && std::fgets(part.data(), part.size(), pipe.get()) != nullptr) {
        out += part.data();
    }
    return out;
}

InterfaceIndex index_of(const char* name) {
    return InterfaceIndex{static_cast<int>(::if_nametoindex(name))};
}

Octets octets(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

Octets from_hex(const std::string& text) {
    std::istringstream in(text);
    Octets out;
    for (unsigned value = 0; in >> std::hex >> value;) out.push_back(static_cast<std::byte>(value));
    return out;
}

Port::Port(const char* interface)
    : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    sockaddr_ll self{};
    self.sll_family = AF_PACKET;
    self.sll_protocol = htons(ETH_P_ALL);
    self.sll_ifindex = index_of(interface).value;
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&self), sizeof self), 0);
    const int on = 1;
    ::setsockopt(fd_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    ::setsockopt(fd_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
    discard();
}

void Port::send(Bytes frame) const {
    // A shut gate answers ENOBUFS; the far end tells what happened.
    if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0 && errno != ENOBUFS) {
        ADD_FAILURE() << "send: " << std::strerror(errno);
    }
}

std::vector<Octets> Port::receive_until(const std::function<bool(const Octets&)>& until) const {
    std::vector<Octets> frames;
    const BootTime deadline = BootClock::now() + patience;
    while (BootClock::now() < deadline) {
        pollfd ready{fd_.get(), POLLIN, 0};
        ::poll(&ready, 1, 100);
        Octets frame = receive(fd_.get());
        if (frame.empty()) continue;
        frames.push_back(std::move(frame));
        if (until(frames.back())) return frames;
    }
    ADD_FAILURE() << "the frame that should end the waiting did not come";
    return frames;
}

void Port::discard() const {
    Octets frame(2048);
    while (::recv(fd_.get(), frame.data(), frame.size(), 0) >= 0) {
    }
}

Wire::Wire() = default;

Octets Wire::marker() {
    Octets frame = from_hex("02 00 5e 00 53 02 02 00 5e 00 53 01 88 b5");
    append16(frame, ++markers_);
    frame.resize(60);
    return frame;
}

bool Wire::passes(Bytes frame) {
    const Octets wanted = octets(frame);
    return sends([&] { near.send(frame); }, [&](const Octets& seen) { return seen == wanted; });
}

bool Wire::sends(const std::function<void()>& something,
                 const std::function<bool(const Octets&)>& wanted) {
    far.discard();
    something();
    const Octets last = marker();
    near.send(last);
    const auto frames = far.receive_until([&](const Octets& seen) { return seen == last; });
    return std::any_of(frames.begin(), frames.end(), wanted);
}

bool Wire::answers(Bytes asked, Bytes own_question, const IpAddress& address,
                   const IpAddress& own) {
    far.discard();
    far.send(asked);
    far.send(own_question);
    const auto frames =
        far.receive_until([&](const Octets& seen) { return is_sent_as(seen, own); });
    return std::any_of(frames.begin(), frames.end(),
                       [&](const Octets& seen) { return is_sent_as(seen, address); });
}

Octets ip_frame(const IpAddress& source, unsigned protocol, const Octets& payload) {
    Octets frame = from_hex("02 00 5e 00 53 02 02 00 5e 00 53 01");
    const auto size = static_cast<unsigned>(payload.size());
    if (source.is_v4()) {
        append(frame, from_hex("08 00 45 00"));
        append16(frame, 20 + size);
        append(frame, from_hex("00 00 00 00 40"));
        frame.push_back(static_cast<std::byte>(protocol));
        append16(frame, 0);
        append(frame, raw(source));
        append(frame, raw(peer4));
    } else {
        append(frame, from_hex("86 dd 60 00 00 00"));
        append16(frame, size);
        frame.push_back(static_cast<std::byte>(protocol));
        frame.push_back(std::byte{255});
        append(frame, raw(source));
        append(frame, raw(peer6));
    }
    append(frame, payload);
    frame.resize(std::max<std::size_t>(frame.size(), 60));
    return frame;
}

Octets udp_frame(const IpAddress& source) {
    return ip_frame(source, 17, from_hex("30 39 30 39 00 08 00 00"));
}

Octets tcp_frame(const IpAddress& source, Tcp flags) {
    Octets segment = from_hex("19 2e 30 39 00 00 00 01 00 00 00 01 50 00 ff ff 00 00 00 00");
    segment[13] = static_cast<std::byte>(flags);
    return ip_frame(source, 6, segment);
}

Octets tagged(Octets frame, unsigned ethertype) {
    Octets tag;
    append16(tag, ethertype);
    append16(tag, 10);
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
}

Octets question(const IpAddress& address) {
    if (address.is_v4()) {
        Octets frame = octets(gratuitous_arp_request(peer4, far_mac).view());
        std::copy_n(raw(address).begin(), 4, frame.begin() + 38);
        return frame;
    }
    // A neighbour solicitation, made from an advertisement: another type, no flags, its checksum
    // adjusted by the difference (RFC 1624 would do; here it is simply left to the formula below).
    Octets frame = octets(neighbour_advertisement(peer6, far_mac, false).view());
    std::copy_n(from_hex("33 33 ff 00 00 00").begin(), 6, frame.begin());
    const Octets group = from_hex("ff 02 00 00 00 00 00 00 00 00 00 01 ff 00 00 00");
    std::copy_n(group.begin(), 16, frame.begin() + 38);
    std::copy_n(raw(address).begin() + 13, 3, frame.begin() + 51);
    std::copy_n(raw(address).begin() + 13, 3, frame.begin() + 3);
    frame[54] = std::byte{135};
    frame[58] = std::byte{0};
    std::copy_n(raw(address).begin(), 16, frame.begin() + 62);
    frame[78] = std::byte{1};
    frame[56] = frame[57] = std::byte{0};
    unsigned sum = 32 + 58;
    for (std::size_t i = 22; i < 86; i += 2) {
        sum += std::to_integer<unsigned>(frame[i]) << 8 | std::to_integer<unsigned>(frame[i + 1]);
    }
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    frame[56] = static_cast<std::byte>(~sum >> 8 & 0xff);
    frame[57] = static_cast<std::byte>(~sum & 0xff);
    return frame;
}

bool is_sent_as(const Octets& frame, const IpAddress& address) {
    if (frame.size() < 42) return false;
    const unsigned type =
        std::to_integer<unsigned>(frame[12]) << 8 | std::to_integer<unsigned>(frame[13]);
    if (address.is_v4()) {
        return (type == 0x0800 && has_at(frame, 26, address)) ||
               (type == 0x0806 && has_at(frame, 28, address));
    }
    return type == 0x86dd &&
           (has_at(frame, 22, address) ||
            (frame.size() > 54 && frame[54] == std::byte{136} && has_at(frame, 62, address)));
}

void send_udp(const IpAddress& source, const IpAddress& destination) {
    const bool v4 = source.is_v4();
    const UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const auto address = [&](const IpAddress& ip, std::uint16_t port) {
        storage = {};
        if (v4) {
            sockaddr_in in{};
            in.sin_family = AF_INET;
            in.sin_port = htons(port);
            std::memcpy(&in.sin_addr, ip.bytes().data(), 4);
            std::memcpy(&storage, &in, sizeof in);
            return static_cast<socklen_t>(sizeof in);
        }
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port);
        std::memcpy(&in.sin6_addr, ip.bytes().data(), 16);
        std::memcpy(&storage, &in, sizeof in);
        return static_cast<socklen_t>(sizeof in);
    };
    socklen_t size = address(source, 0);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0)
        << source.to_string() << ": " << std::strerror(errno);
    size = address(destination, 9999);
    // Refused by a shut gate: ENOBUFS or nothing at all, depending on the kernel.
    static_cast<void>(::sendto(fd.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&storage), size));
}

}  // namespace hamr::vip::test
