// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/answerers.hpp"
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

// The client-visible outage. Requests go through the kernel's own stack, so that the client's
// neighbour table, and what an announcement does to it, is part of the measurement. Answers are
// taken from a packet socket: when the kernel received them, and from which MAC.

namespace labtool {

namespace {

/// What a request carries and its answer brings back.
struct Payload {
    std::uint64_t number;
    std::int64_t sent_ns;
};

struct Gap {
    std::int64_t from_ns;
    std::int64_t to_ns;
    std::string from_mac;
    std::string to_mac;
};

class Prober {
  public:
    Prober(hamr::IpAddress target, std::int64_t threshold_ns)
        : target_(target), threshold_ns_(threshold_ns), id_(static_cast<std::uint16_t>(getpid())) {}

    hamr::Result<> open() {
        const bool v4 = target_.is_v4();
        socket_.reset(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                               v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}));
        if (!socket_) return hamr::fail_errno("raw ICMP socket", errno);
        const int small = 1;
        setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        return {};
    }

    void send(std::int64_t now);
    void receive(const Frame& frame);
    void finish(std::int64_t now);
    [[nodiscard]] std::string result() const;
    [[nodiscard]] bool answered() const { return answered_ > 0; }

  private:
    void note_gap(std::int64_t from, std::int64_t to, const std::string& to_mac);

    hamr::IpAddress target_;
    std::int64_t threshold_ns_;
    std::uint16_t id_;
    hamr::UniqueFd socket_;

    std::uint64_t sent_ = 0;
    std::uint64_t send_errors_ = 0;
    std::uint64_t answered_ = 0;
    std::uint64_t late_ = 0;
    std::int64_t last_sent_ns_ = 0;
    std::int64_t own_pause_ns_ = 0;
    std::int64_t last_answer_ns_ = 0;
    std::int64_t last_answered_sent_ns_ = 0;
    std::int64_t longest_ns_ = 0;
    std::int64_t longest_send_gap_ns_ = 0;
    bool open_ended_ = false;
    std::string last_mac_;
    std::vector<Gap> gaps_;
    Answerers answerers_;
};

void Prober::send(std::int64_t now) {
    if (last_sent_ns_ != 0) own_pause_ns_ = std::max(own_pause_ns_, now - last_sent_ns_);
    last_sent_ns_ = now;
    const bool v4 = target_.is_v4();
    const std::uint8_t type = v4 ? std::uint8_t{ICMP_ECHO} : std::uint8_t{ICMP6_ECHO_REQUEST};
    std::vector<std::uint8_t> packet{type, 0, 0, 0};
    append_u16(packet, id_);
    append_u16(packet, static_cast<std::uint16_t>(sent_));
    const Payload payload{sent_, now};
    packet.resize(8 + sizeof(payload));
    std::memcpy(packet.data() + 8, &payload, sizeof(payload));
    if (v4) {
        const std::uint16_t sum = internet_checksum(packet);
        packet[2] = static_cast<std::uint8_t>(sum >> 8);
        packet[3] = static_cast<std::uint8_t>(sum & 0xff);
    }
    sockaddr_storage to{};
    socklen_t length = 0;
    if (v4) {
        auto* address = reinterpret_cast<sockaddr_in*>(&to);
        address->sin_family = AF_INET;
        std::memcpy(&address->sin_addr, target_.bytes().data(), 4);
        length = sizeof(*address);
    } else {
        auto* address = reinterpret_cast<sockaddr_in6*>(&to);
        address->sin6_family = AF_INET6;
        std::memcpy(&address->sin6_addr, target_.bytes().data(), 16);
        length = sizeof(*address);
    }
    ++sent_;
    if (::sendto(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&to), length) < 0) {
        ++send_errors_;
    }
}

void Prober::receive(const Frame& frame) {
    if (frame.outgoing) return;
    const auto claim = read_claim(frame.bytes);
    if (!claim || claim->kind != "ip" || claim->address != target_) return;
    const bool v4 = target_.is_v4();
    const std::size_t icmp = 14 + (v4 ? (frame.bytes[14] & 0x0fU) * 4U : 40U);
    const std::uint8_t protocol = frame.bytes[14 + (v4 ? 9 : 6)];
    if (protocol != (v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6})) return;
    if (frame.bytes.size() < icmp + 8 + sizeof(Payload)) return;
    const std::uint8_t wanted = v4 ? std::uint8_t{ICMP_ECHOREPLY} : std::uint8_t{ICMP6_ECHO_REPLY};
    const auto id =
        static_cast<std::uint16_t>((frame.bytes[icmp + 4] << 8) | frame.bytes[icmp + 5]);
    if (frame.bytes[icmp] != wanted || id != id_) return;
    Payload payload{};
    std::memcpy(&payload, frame.bytes.data() + icmp + 8, sizeof(payload));

    const std::string mac = claim->source.to_string();
    answerers_.note(mac, frame.at_ns);
    if (frame.at_ns - payload.sent_ns > 10'000'000) ++late_;
    if (answered_++ > 0) {
        note_gap(last_answer_ns_, frame.at_ns, mac);
        longest_send_gap_ns_ =
            std::max(longest_send_gap_ns_, payload.sent_ns - last_answered_sent_ns_);
    }
    last_answer_ns_ = frame.at_ns;
    last_answered_sent_ns_ = payload.sent_ns;
    last_mac_ = mac;
}

void Prober::note_gap(std::int64_t from, std::int64_t to, const std::string& to_mac) {
    longest_ns_ = std::max(longest_ns_, to - from);
    if (to - from >= threshold_ns_ && gaps_.size() < 10'000) {
        gaps_.push_back({from, to, last_mac_, to_mac});
    }
}

void Prober::finish(std::int64_t now) {
    if (answered_ == 0 ||
        now - last_answer_ns_ < std::max<std::int64_t>(threshold_ns_, 5'000'000)) {
        return;
    }
    open_ended_ = true;
    note_gap(last_answer_ns_, now, "");
}

std::string Prober::result() const {
    std::string out = "{\"event\":\"result\",\"sent\":" + std::to_string(sent_) +
                      ",\"send_errors\":" + std::to_string(send_errors_) +
                      ",\"answered\":" + std::to_string(answered_) +
                      ",\"late\":" + std::to_string(late_) +
                      ",\"outage_ms\":" + milliseconds(longest_ns_) +
                      ",\"send_gap_ms\":" + milliseconds(longest_send_gap_ns_) +
                      ",\"own_pause_ms\":" + milliseconds(own_pause_ns_) +
                      ",\"open_ended\":" + (open_ended_ ? "true" : "false") + ",\"gaps\":[";
    for (const Gap& gap : gaps_) {
        if (out.back() == '}') out += ',';
        out += "{\"from_ns\":" + std::to_string(gap.from_ns) +
               ",\"to_ns\":" + std::to_string(gap.to_ns) +
               ",\"ms\":" + milliseconds(gap.to_ns - gap.from_ns) +
               ",\"from_mac\":" + quoted(gap.from_mac) + ",\"to_mac\":" + quoted(gap.to_mac) + '}';
    }
    return out + "],\"macs\":" + answerers_.json() + '}';
}

}  // namespace

int probe(Args args) {
    const hamr::IpAddress target = args.address("--to");
    const std::string interface = args.text("--interface", "eth0");
    const std::int64_t interval = args.integer("--interval-us", 500) * 1000;
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    Prober prober(target, args.integer("--threshold-us", 2000) * 1000);
    args.refuse_unknown();
    if (interval <= 0) usage_error("--interval-us must be positive");

    const std::uint16_t type = target.is_v4() ? ETHERTYPE_IP : ETHERTYPE_IPV6;
    auto packets = PacketSocket::open(interface, type);
    const auto opened = prober.open();
    if (!packets || !opened) {
        std::fprintf(stderr, "labtool: %s\n",
                     (packets ? opened.error() : packets.error()).message().c_str());
        return 1;
    }
    become_realtime();
    print_ready();
    const std::int64_t start = now_ns();
    const std::int64_t end =
        duration > 0 ? start + duration : std::numeric_limits<std::int64_t>::max();
    std::int64_t next = start;
    bool told = false;
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped() && now_ns() < end) {
        poll_until({&fd, 1}, next);
        while (const auto frame = packets->receive()) prober.receive(*frame);
        if (!told && prober.answered()) {
            print_line(R"({"event":"answered"})");
            told = true;
        }
        const std::int64_t now = now_ns();
        if (now < next) continue;
        prober.send(now);
        next += interval;
        if (next < now) next = now + interval;
    }
    poll_until({&fd, 1}, now_ns() + 2'000'000);
    while (const auto frame = packets->receive()) prober.receive(*frame);
    prober.finish(now_ns());
    print_line(prober.result());
    return 0;
}

}  // namespace labtool
