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

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
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
//   l NS COUNT                          so many frames were not recorded

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

    [[nodiscard]] const std::vector<hamr::IpAddress>& vips() const { return vips_; }

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

/// Lets the kernel leave out what is neither voice nor heartbeat: what passes a switch may be much.
/// Good enough to be a little generous; who reads looks again.
std::vector<sock_filter> filter_for(const std::vector<hamr::IpAddress>& vips) {
    constexpr std::uint32_t everything = 0xffff'ffff;
    const auto load = [](unsigned size, std::uint32_t at) {
        return sock_filter{static_cast<std::uint16_t>(BPF_LD | BPF_ABS | size), 0, 0, at};
    };
    const auto pass = [](std::uint32_t bytes) { return sock_filter{BPF_RET, 0, 0, bytes}; };
    const auto take_if = [&](std::vector<sock_filter>& code, std::uint32_t value) {
        code.push_back({BPF_JMP | BPF_JEQ, 0, 1, value});
        code.push_back(pass(everything));
    };
    const auto append_block = [&](std::vector<sock_filter>& code, std::uint32_t type,
                                  const std::vector<sock_filter>& block) {
        code.push_back({BPF_JMP | BPF_JEQ, 0, static_cast<std::uint8_t>(block.size()), type});
        code.insert(code.end(), block.begin(), block.end());
    };
    std::vector<sock_filter> ip4{load(BPF_B, 14 + 9)};
    take_if(ip4, IPPROTO_UDP);
    ip4.push_back(load(BPF_W, 14 + 12));
    std::vector<sock_filter> ip6{load(BPF_B, 14 + 6)};
    take_if(ip6, IPPROTO_UDP);
    ip6.push_back({BPF_JMP | BPF_JEQ, 0, 3, IPPROTO_ICMPV6});
    ip6.push_back(load(BPF_B, 14 + 40));
    take_if(ip6, ND_NEIGHBOR_ADVERT);
    ip6.push_back(load(BPF_W, 14 + 8 + 12));
    for (const auto& vip : vips) {
        const Octets bytes(vip.bytes());
        take_if(vip.is_v4() ? ip4 : ip6,
                static_cast<std::uint32_t>(read_number(bytes, vip.is_v4() ? 0 : 12, 4)));
    }
    ip4.push_back(pass(0));
    ip6.push_back(pass(0));
    std::vector<sock_filter> code{load(BPF_H, 12)};
    take_if(code, ETHERTYPE_ARP);
    append_block(code, ETHERTYPE_IP, ip4);
    append_block(code, ETHERTYPE_IPV6, ip6);
    code.push_back(pass(0));
    return code;
}

/// Frames that the kernel has thrown away, since nobody read them in time, since the last call.
unsigned lost(int fd) {
    tpacket_stats statistics{};
    socklen_t length = sizeof(statistics);
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length);
    return statistics.tp_drops;
}

/// The most frames within a tenth of a second.
class Busiest {
  public:
    void count(std::int64_t now_ns) {
        constexpr std::int64_t slot_ns = 100'000'000;
        if (now_ns - slot_ >= slot_ns) {
            slot_ = now_ns;
            count_ = 0;
        }
        if (++count_ > most) {
            most = count_;
            at_ns = now_ns;
        }
    }
    std::uint64_t most = 0;
    std::int64_t at_ns = 0;

  private:
    std::int64_t slot_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace

int voices(Args args) {
    constexpr std::int64_t turn_ns = 20'000'000;
    constexpr int turn_frames = 1000;
    const std::string interface = args.text("--interface", "any");
    Recorder recorder(args);
    args.refuse_unknown();
    auto packets = PacketSocket::open(interface, ETH_P_ALL);
    if (!packets) {
        std::fprintf(stderr, "labtool: %s\n", packets.error().message().c_str());
        return 1;
    }
    auto code = filter_for(recorder.vips());
    const sock_fprog filter{static_cast<std::uint16_t>(code.size()), code.data()};
    if (setsockopt(packets->fd(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0) {
        std::perror("labtool: the filter");
        return 1;
    }
    const int on = 1;
    setsockopt(packets->fd(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
    // Who speaks must not keep from the processor who writes down what is said.
    become_realtime();
    print_ready();
    pollfd fd{packets->fd(), POLLIN, 0};
    Busiest busiest;
    std::uint64_t all_lost = 0;
    while (!stopped()) {
        poll_until({&fd, 1}, now_ns() + turn_ns);
        const std::int64_t now = now_ns();
        for (int i = 0; i < turn_frames; ++i) {
            const auto frame = packets->receive();
            if (!frame) break;
            busiest.count(frame->at_ns);
            recorder.record(*frame);
        }
        if (const unsigned missed = lost(packets->fd()); missed != 0) {
            all_lost += missed;
            recorder.lines.add("l " + std::to_string(now) + ' ' + std::to_string(missed));
        }
        recorder.lines.tick(now_ns());
    }
    recorder.lines.flush();
    print_line("{\"event\":\"result\",\"lost\":" + std::to_string(all_lost) +
               ",\"busiest\":" + std::to_string(busiest.most) +
               ",\"busiest_ns\":" + std::to_string(busiest.at_ns) + '}');
    return 0;
}

}  // namespace labtool
