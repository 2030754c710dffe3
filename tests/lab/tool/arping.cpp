// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/answerers.hpp"
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/process.hpp"
#include "tests/lab/tool/questions.hpp"

#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include <net/ethernet.h>

// Who says that the address is his: broadcast ARP requests, or neighbour solicitations to the
// solicited-node group, and the MACs of all who answer. Run it on a host that is not the measured
// client: answers update the neighbour table of the host that asks.

namespace labtool {

int arping(Args args) {
    const hamr::IpAddress target = args.address("--to");
    const std::string interface = args.text("--interface", "eth0");
    const std::int64_t interval = args.integer("--interval-us", 10'000) * 1000;
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    const auto count = static_cast<std::uint64_t>(args.integer("--count", 0));
    args.refuse_unknown();

    const bool v4 = target.is_v4();
    const auto info = interface_info(interface);
    const auto from = own_address(interface, target.family(), !v4);
    auto packets = PacketSocket::open(interface, v4 ? ETHERTYPE_ARP : ETHERTYPE_IPV6);
    if (!info || !packets || !from) {
        std::fprintf(stderr, "labtool: %s\n",
                     !info      ? info.error().message().c_str()
                     : !packets ? packets.error().message().c_str()
                                : "the interface has no address of this family");
        return 1;
    }
    const auto request = v4 ? arp_request(info->mac, *from, target)
                            : neighbour_solicitation(info->mac, *from, target);
    print_ready();
    const std::int64_t start = now_ns();
    const std::int64_t end =
        duration > 0 ? start + duration : std::numeric_limits<std::int64_t>::max();
    Answerers answers;
    std::uint64_t sent = 0;
    std::int64_t next = start;
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped() && now_ns() < end) {
        poll_until({&fd, 1}, next);
        while (const auto frame = packets->receive()) {
            const auto claim = read_claim(frame->bytes);
            const std::string_view wanted = v4 ? "arp-reply" : "na";
            if (frame->outgoing || !claim || claim->kind != wanted) continue;
            // An announcement goes to everybody; an answer comes to the one who asked.
            if (claim->address != target || claim->destination != info->mac) continue;
            answers.note(claim->source.to_string(), frame->at_ns);
        }
        if (now_ns() < next) continue;
        if (count != 0 && sent == count) break;
        if (packets->send(request)) ++sent;
        next = std::max(next + interval, now_ns());
    }
    print_line("{\"event\":\"result\",\"sent\":" + std::to_string(sent) +
               ",\"macs\":" + answers.json() + '}');
    return 0;
}

}  // namespace labtool
