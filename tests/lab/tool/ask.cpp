// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/process.hpp"
#include "tests/lab/tool/questions.hpp"
#include "tests/lab/tool/voice.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <net/ethernet.h>
#include <unistd.h>

// Asks everybody for the VIPs, all the time: ARP requests and neighbour solicitations by broadcast,
// and pings and SYNs to each router's Ethernet address, whatever a neighbour table would say, so
// that a host that answers as the VIP is heard also when nobody should ask it. SYNs open nothing:
// this host's kernel resets what is answered, since it has no such socket.
//
//   a NS MAC KIND FAMILY ASKED_NS      an answer (or an announcement), when and from whom it came

namespace labtool {

namespace {

struct Asker {
    std::vector<hamr::IpAddress> vips;
    std::vector<hamr::MacAddress> routers;
    hamr::MacAddress own;
    std::optional<hamr::IpAddress> own4;
    std::optional<hamr::IpAddress> own6;
    std::uint16_t port = 0;
    std::uint16_t next_port = 0;
    std::uint64_t sent = 0;
    std::uint64_t failed = 0;

    [[nodiscard]] const hamr::IpAddress& from(const hamr::IpAddress& vip) const {
        return vip.is_v4() ? *own4 : *own6;
    }

    void send(const PacketSocket& packets, const std::vector<std::uint8_t>& frame) {
        ++(packets.send(frame) ? sent : failed);
    }

    void neighbours(const PacketSocket& packets) {
        for (const auto& vip : vips) {
            send(packets, vip.is_v4() ? arp_request(own, from(vip), vip)
                                      : neighbour_solicitation(own, from(vip), vip));
        }
    }

    void pings(const PacketSocket& packets, std::uint16_t number) {
        for (const auto& vip : vips) {
            for (std::size_t router = 0; router < routers.size(); ++router) {
                const Way way{own, routers[router], from(vip), vip};
                send(packets,
                     echo_request(way, static_cast<std::uint16_t>(router + 1), number, now_ns()));
            }
        }
    }

    void syns(const PacketSocket& packets) {
        constexpr std::uint16_t first_port = 10'000;
        constexpr std::uint16_t last_port = 60'000;
        for (const auto& vip : vips) {
            for (const auto& router : routers) {
                next_port = next_port < first_port || next_port >= last_port
                                ? first_port
                                : static_cast<std::uint16_t>(next_port + 1);
                send(packets,
                     tcp_syn({own, router, from(vip), vip}, next_port, port, syn_number(now_ns())));
            }
        }
    }
};

Asker read_options(Args& args, const std::string& interface) {
    Asker asker;
    for (const auto& text : args.all("--vip")) {
        const auto parsed = hamr::IpAddress::parse(text);
        if (!parsed) usage_error("--vip: not an address: " + text);
        asker.vips.push_back(*parsed);
    }
    for (const auto& text : args.all("--router")) {
        const auto parsed = hamr::MacAddress::parse(text);
        if (!parsed) usage_error("--router: not an Ethernet address: " + text);
        asker.routers.push_back(*parsed);
    }
    if (asker.vips.empty() || asker.routers.empty()) usage_error("--vip and --router are required");
    asker.port = static_cast<std::uint16_t>(args.integer("--port", 6446));
    const auto info = interface_info(interface);
    asker.own4 = own_address(interface, hamr::Family::ipv4, false);
    asker.own6 = own_address(interface, hamr::Family::ipv6, false);
    if (!info || !asker.own4 || !asker.own6) {
        usage_error(interface + " is not there, or lacks an address of either family");
    }
    asker.own = info->mac;
    return asker;
}

}  // namespace

int ask(Args args) {
    const std::string interface = args.text("--interface", "eth0");
    const std::int64_t interval = args.integer("--interval-us", 10'000) * 1000;
    const auto syn_every = static_cast<std::uint64_t>(args.integer("--syn-every", 4));
    Asker asker = read_options(args, interface);
    args.refuse_unknown();
    auto packets = PacketSocket::open(interface, ETH_P_ALL);
    if (!packets) {
        std::fprintf(stderr, "labtool: %s\n", packets.error().message().c_str());
        return 1;
    }
    become_realtime();
    print_ready();
    Lines lines;
    std::uint64_t turn = 0;
    std::int64_t next = now_ns();
    std::int64_t longest_pause = 0;
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped()) {
        poll_until({&fd, 1}, next);
        while (const auto frame = packets->receive()) {
            if (frame->outgoing) continue;
            const auto voice = read_voice(frame->bytes, asker.vips, frame->at_ns);
            if (!voice) continue;
            lines.add("a " + std::to_string(frame->at_ns) + ' ' + voice->source.to_string() + ' ' +
                      std::string(voice->kind) + (voice->v4 ? " 4 " : " 6 ") +
                      std::to_string(voice->asked_ns));
        }
        const std::int64_t now = now_ns();
        lines.tick(now);
        if (now < next) continue;
        longest_pause = std::max(longest_pause, now - next);
        asker.neighbours(*packets);
        asker.pings(*packets, static_cast<std::uint16_t>(turn));
        if (syn_every != 0 && turn % syn_every == 0) asker.syns(*packets);
        ++turn;
        next = std::max(next + interval, now);
    }
    lines.flush();
    print_line("{\"event\":\"result\",\"sent\":" + std::to_string(asker.sent) +
               ",\"failed\":" + std::to_string(asker.failed) +
               ",\"longest_pause_ms\":" + milliseconds(longest_pause) + '}');
    return 0;
}

}  // namespace labtool
