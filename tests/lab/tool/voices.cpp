// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/process.hpp"
#include "tests/lab/tool/voice.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

// Who speaks as the VIP, and who claims to lead, as the frames enter the switch. A veth stamps a
// frame on the sender's own processor right after the sender's gate has let it pass, before
// anything is queued, and before the switch may drop it: between the two instants lie microseconds,
// unless the machine itself stands still. Claims are read from the heartbeats, which are signed and
// not encrypted. The name of the port is the name of the host.
//
//   v NS PORT KIND FAMILY ASKED_NS      a voice
//   c NS PORT CLAIM TERM RELEASED       the claim of the first group in a heartbeat has changed:
//                                       0 none, 1 asking, 2 candidate, 3 leader

namespace labtool {

namespace {

struct HeartbeatClaim {
    unsigned claim = 0;
    std::uint64_t term = 0;
    std::uint64_t released = 0;
    friend bool operator==(const HeartbeatClaim&, const HeartbeatClaim&) = default;
};

std::uint64_t read_number(Octets bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
}

/// docs/protocol.md, rule W2; offsets are those of its tables.
std::optional<HeartbeatClaim> read_heartbeat(Octets datagram) {
    constexpr std::size_t lists = 60;
    constexpr std::size_t voter = 4;
    constexpr std::size_t echo = 24;
    constexpr std::size_t group = 49;
    if (datagram.size() < lists || std::memcmp(datagram.data(), "HAMR\1", 5) != 0) return {};
    const std::size_t at = lists + voter * datagram[43] + echo * datagram[56];
    if (read_number(datagram, 58, 2) == 0 || datagram.size() < at + group) return {};
    return HeartbeatClaim{datagram[at + 4] & 3U, read_number(datagram, at + 5, 8),
                          read_number(datagram, at + 37, 8)};
}

class Recorder {
  public:
    explicit Recorder(Args& args) : port_(args.integer("--port", 8112)) {
        for (const auto& text : args.all("--vip")) {
            const auto parsed = hamr::IpAddress::parse(text);
            if (!parsed) usage_error("--vip: not an address: " + text);
            vips_.push_back(*parsed);
        }
        if (vips_.empty()) usage_error("--vip is required");
        ignored_ = args.all("--ignore");
    }

    void record(const Frame& frame) {
        if (frame.outgoing) return;
        const std::string& port = name_of(frame.interface);
        if (std::find(ignored_.begin(), ignored_.end(), port) != ignored_.end()) return;
        const std::string where = std::to_string(frame.at_ns) + ' ' + port + ' ';
        if (const auto voice = read_voice(frame.bytes, vips_, frame.at_ns)) {
            lines.add("v " + where + std::string(voice->kind) + (voice->v4 ? " 4 " : " 6 ") +
                      std::to_string(voice->asked_ns));
            return;
        }
        const auto udp = find_udp(frame.bytes);
        if (!udp || udp->destination_port != port_) return;
        const auto claim = read_heartbeat(frame.bytes.subspan(udp->udp + 8));
        if (!claim || claims_[port] == claim) return;
        claims_[port] = claim;
        lines.add("c " + where + std::to_string(claim->claim) + ' ' + std::to_string(claim->term) +
                  ' ' + std::to_string(claim->released));
    }

    Lines lines;

  private:
    const std::string& name_of(int index) {
        auto [place, fresh] = names_.try_emplace(index);
        if (fresh) place->second = interface_name(index);
        return place->second;
    }

    std::int64_t port_;
    std::vector<hamr::IpAddress> vips_;
    std::vector<std::string> ignored_;
    std::map<int, std::string> names_;
    std::map<std::string, std::optional<HeartbeatClaim>> claims_;
};

/// Frames that the kernel threw away since nobody read them in time.
unsigned lost(int fd) {
    tpacket_stats statistics{};
    socklen_t length = sizeof(statistics);
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length);
    return statistics.tp_drops;
}

}  // namespace

int voices(Args args) {
    constexpr std::int64_t turn_ns = 20'000'000;
    const std::string interface = args.text("--interface", "any");
    Recorder recorder(args);
    args.refuse_unknown();
    auto packets = PacketSocket::open(interface, ETH_P_ALL);
    if (!packets) {
        std::fprintf(stderr, "labtool: %s\n", packets.error().message().c_str());
        return 1;
    }
    const int on = 1;
    setsockopt(packets->fd(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
    print_ready();
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped()) {
        poll_until({&fd, 1}, now_ns() + turn_ns);
        while (const auto frame = packets->receive()) recorder.record(*frame);
        recorder.lines.tick(now_ns());
    }
    recorder.lines.flush();
    print_line("{\"event\":\"result\",\"lost\":" + std::to_string(lost(packets->fd())) + '}');
    return 0;
}

}  // namespace labtool
