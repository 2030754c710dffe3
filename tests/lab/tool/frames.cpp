// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/pcap.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <net/ethernet.h>
#include <netinet/in.h>

// An attacker on the segment: records UDP frames, sends them again, and sends datagrams of its own
// making, from forged addresses when asked. Files are pcap (nanoseconds, Ethernet), so tcpdump
// reads them too.

namespace labtool {

hamr::Result<std::vector<std::vector<std::uint8_t>>> read_pcap(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    PcapHeader header;
    if (!in.read(reinterpret_cast<char*>(&header), sizeof(header)) || header.magic != pcap_magic) {
        return hamr::fail(file + ": not a file of capture-frames");
    }
    std::vector<std::vector<std::uint8_t>> frames;
    PcapRecord record{};
    while (in.read(reinterpret_cast<char*>(&record), sizeof(record))) {
        if (record.stored > 65535) return hamr::fail(file + ": broken record");
        std::vector<std::uint8_t> bytes(record.stored);
        if (!in.read(reinterpret_cast<char*>(bytes.data()), record.stored)) break;
        frames.push_back(std::move(bytes));
    }
    return frames;
}

namespace {

int failed(const hamr::Error& error) {
    std::fprintf(stderr, "labtool: %s\n", error.message().c_str());
    return 1;
}

/// One UDP datagram in an Ethernet frame, from whoever `from` says.
std::vector<std::uint8_t> forge(const hamr::MacAddress& to_mac, const hamr::MacAddress& from_mac,
                                const hamr::Endpoint& from, const hamr::Endpoint& to,
                                Octets content) {
    const bool v4 = to.address.is_v4();
    auto frame = ethernet_header(to_mac, from_mac, v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
    const auto udp_length = static_cast<std::uint16_t>(8 + content.size());
    if (v4) {
        std::vector<std::uint8_t> header{0x45, 0};
        append_u16(header, static_cast<std::uint16_t>(20 + udp_length));
        append(header, std::array<std::uint8_t, 8>{0, 0, 0x40, 0, 64, IPPROTO_UDP, 0, 0});
        append_address(header, from.address);
        append_address(header, to.address);
        const std::uint16_t sum = internet_checksum(header);
        header[10] = static_cast<std::uint8_t>(sum >> 8);
        header[11] = static_cast<std::uint8_t>(sum & 0xff);
        append(frame, header);
    } else {
        append_ipv6_header(frame, IPPROTO_UDP, udp_length, from.address, to.address);
    }
    append_u16(frame, from.port);
    append_u16(frame, to.port);
    append_u16(frame, udp_length);
    append_u16(frame, 0);
    append(frame, content);
    if (const auto place = find_udp(frame)) fix_udp_checksum(frame, *place);
    return frame;
}

hamr::Result<> send_plainly(const hamr::Endpoint& to, Octets content, std::int64_t times) {
    const bool v4 = to.address.is_v4();
    const hamr::UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    socklen_t length = sizeof(sockaddr_in);
    if (v4) {
        auto* address = reinterpret_cast<sockaddr_in*>(&storage);
        address->sin_family = AF_INET;
        address->sin_port = htons(to.port);
        std::memcpy(&address->sin_addr, to.address.bytes().data(), 4);
    } else {
        auto* address = reinterpret_cast<sockaddr_in6*>(&storage);
        address->sin6_family = AF_INET6;
        address->sin6_port = htons(to.port);
        std::memcpy(&address->sin6_addr, to.address.bytes().data(), 16);
        length = sizeof(*address);
    }
    for (std::int64_t i = 0; i < times; ++i) {
        if (::sendto(fd.get(), content.data(), content.size(), 0,
                     reinterpret_cast<const sockaddr*>(&storage), length) < 0) {
            return hamr::fail_errno("send to " + to.to_string(), errno);
        }
    }
    return {};
}

void print_sent(std::int64_t count) {
    print_line("{\"event\":\"result\",\"sent\":" + std::to_string(count) + '}');
}

}  // namespace

int capture_frames(Args args) {
    const std::string interface = args.text("--interface", "eth0");
    const auto port = static_cast<std::uint16_t>(args.integer("--port", 0));
    const std::string file = args.required("--file");
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    args.refuse_unknown();
    auto packets = PacketSocket::open(interface, ETH_P_ALL);
    if (!packets) return failed(packets.error());
    std::ofstream out(file, std::ios::binary);
    const PcapHeader header;
    out.write(reinterpret_cast<const char*>(&header), sizeof(header));
    print_ready();
    const std::int64_t end =
        duration > 0 ? now_ns() + duration : std::numeric_limits<std::int64_t>::max();
    std::int64_t count = 0;
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped() && now_ns() < end) {
        poll_until({&fd, 1}, end);
        while (const auto frame = packets->receive()) {
            const auto place = find_udp(frame->bytes);
            if (!place || place->destination_port != port) continue;
            // On "any" a frame passes several interfaces: count it where it came in.
            if (interface == "any" && frame->outgoing) continue;
            const PcapRecord record{static_cast<std::uint32_t>(frame->at_ns / 1'000'000'000),
                                    static_cast<std::uint32_t>(frame->at_ns % 1'000'000'000),
                                    static_cast<std::uint32_t>(frame->bytes.size()),
                                    static_cast<std::uint32_t>(frame->bytes.size())};
            out.write(reinterpret_cast<const char*>(&record), sizeof(record));
            out.write(reinterpret_cast<const char*>(frame->bytes.data()),
                      static_cast<std::streamsize>(frame->bytes.size()));
            ++count;
        }
        out.flush();
    }
    print_line("{\"event\":\"result\",\"recorded\":" + std::to_string(count) + '}');
    return out ? 0 : 1;
}

int replay(Args args) {
    const std::string interface = args.text("--interface", "eth0");
    const std::string file = args.required("--file");
    const std::int64_t times = args.integer("--times", 1);
    const std::int64_t interval = args.integer("--interval-us", 0) * 1000;
    const auto to_mac = args.find("--to-mac");
    const bool keep_mac = args.has("--keep-mac");
    args.refuse_unknown();
    const auto info = interface_info(interface);
    if (!info) return failed(info.error());
    const auto packets = PacketSocket::open(interface, 0);
    if (!packets) return failed(packets.error());
    auto frames = read_pcap(file);
    if (!frames) return failed(frames.error());
    const auto destination = to_mac ? hamr::MacAddress::parse(*to_mac) : std::nullopt;
    if (to_mac && !destination) usage_error("--to-mac: not a MAC address: " + *to_mac);

    for (auto& frame : *frames) {
        // The switch learns from source addresses: a foreign one would pull its owner's traffic
        // here.
        if (!keep_mac) std::copy(info->mac.bytes.begin(), info->mac.bytes.end(), &frame[6]);
        if (destination) {
            std::copy(destination->bytes.begin(), destination->bytes.end(), frame.data());
        }
        if (const auto place = find_udp(frame)) fix_udp_checksum(frame, *place);
    }
    std::int64_t sent = 0;
    print_ready();
    std::int64_t next = now_ns();
    for (std::int64_t round = 0; round < times; ++round) {
        for (const auto& frame : *frames) {
            while (!stopped() && now_ns() < next) poll_until({}, next);
            if (stopped()) break;
            if (const auto done = packets->send(frame); !done) return failed(done.error());
            ++sent;
            next += interval;
        }
    }
    print_sent(sent);
    return 0;
}

int send_udp(Args args) {
    const hamr::Endpoint to = args.endpoint("--to");
    const std::string file = args.required("--file");
    const std::int64_t times = args.integer("--times", 1);
    const std::string interface = args.text("--interface", "eth0");
    const bool forged = args.has("--source");
    const hamr::Endpoint from = forged ? args.endpoint("--source") : hamr::Endpoint{};
    const auto mac_text = args.find("--to-mac");
    args.refuse_unknown();
    std::ifstream in(file, std::ios::binary);
    if (!in) return failed({"cannot read " + file, {}});
    const std::vector<std::uint8_t> content{std::istreambuf_iterator<char>(in), {}};
    if (!forged) {
        const auto done = send_plainly(to, content, times);
        if (!done) return failed(done.error());
        print_sent(times);
        return 0;
    }
    const auto to_mac = hamr::MacAddress::parse(mac_text.value_or(""));
    if (!to_mac) usage_error("--source needs --to-mac");
    const auto info = interface_info(interface);
    if (!info) return failed(info.error());
    const auto packets = PacketSocket::open(interface, 0);
    if (!packets) return failed(packets.error());
    const auto frame = forge(*to_mac, info->mac, from, to, content);
    for (std::int64_t i = 0; i < times; ++i) {
        if (const auto done = packets->send(frame); !done) return failed(done.error());
    }
    print_sent(times);
    return 0;
}

}  // namespace labtool
