// SPDX-License-Identifier: GPL-2.0-or-later
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
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

// What `probe` does for one address, for many IPv4 addresses in a row: each is pinged in turn,
// through the kernel's own stack, and the longest time without its answer is told for each.

namespace labtool {

namespace {

struct Target {
    in_addr address{};
    std::string text;
    std::int64_t last_ns = 0;  // of the newest answer; 0 before the first
    std::int64_t from_ns = 0;  // the longest time without one
    std::int64_t to_ns = 0;

    void answered(std::int64_t at) {
        if (last_ns != 0) note(at);
        last_ns = at;
    }
    void note(std::int64_t at) {
        if (at - last_ns <= to_ns - from_ns) return;
        from_ns = last_ns;
        to_ns = at;
    }
};

class Sweeper {
  public:
    Sweeper(const hamr::IpAddress& first, std::int64_t count) {
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), first.bytes().data(), bytes.size());
        for (std::int64_t i = 0; i < count; ++i) {
            Target& target = targets_.emplace_back();
            std::memcpy(&target.address, bytes.data(), bytes.size());
            target.text = hamr::IpAddress::v4(bytes).to_string();
            ++bytes[3];
        }
    }

    hamr::Result<> open() {
        socket_.reset(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP));
        if (!socket_) return hamr::fail_errno("raw ICMP socket", errno);
        const int small = 1;
        setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        return {};
    }

    /// The next address in turn.
    void send() {
        std::vector<std::uint8_t> packet{ICMP_ECHO, 0, 0, 0};
        append_u16(packet, id_);
        append_u16(packet, static_cast<std::uint16_t>(next_));
        const std::uint16_t sum = internet_checksum(packet);
        packet[2] = static_cast<std::uint8_t>(sum >> 8);
        packet[3] = static_cast<std::uint8_t>(sum & 0xff);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr = targets_[next_].address;
        (void)::sendto(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT,
                       reinterpret_cast<const sockaddr*>(&to), sizeof to);
        next_ = (next_ + 1) % targets_.size();
    }

    void receive(const Frame& frame) {
        constexpr std::size_t ip = 14;
        if (frame.outgoing || frame.bytes.size() < ip + 20 + 8) return;
        const std::size_t icmp = ip + (frame.bytes[ip] & 0x0fU) * 4U;
        if (frame.bytes[ip + 9] != IPPROTO_ICMP || frame.bytes.size() < icmp + 8) return;
        const auto word = [&](std::size_t at) {
            return static_cast<std::size_t>(frame.bytes[at] << 8 | frame.bytes[at + 1]);
        };
        if (frame.bytes[icmp] != ICMP_ECHOREPLY || word(icmp + 4) != id_) return;
        const std::size_t index = word(icmp + 6);
        if (index >= targets_.size()) return;
        Target& target = targets_[index];
        if (std::memcmp(&frame.bytes[ip + 12], &target.address, 4) != 0) return;
        if (target.last_ns == 0) ++reached_;
        target.answered(frame.at_ns);
    }

    [[nodiscard]] bool all_reached() const { return reached_ == targets_.size(); }

    /// Ends the times without an answer that are still running and longer than two turns.
    void finish(std::int64_t now, std::int64_t turn) {
        for (Target& target : targets_) {
            if (target.last_ns != 0 && now - target.last_ns > 2 * turn) target.note(now);
        }
    }

    [[nodiscard]] std::string result() const {
        std::string out =
            R"({"event":"result","reached":)" + std::to_string(reached_) + R"(,"addresses":{)";
        for (const Target& target : targets_) {
            if (out.back() == '}') out += ',';
            out += quoted(target.text) + R"(:{"outage_ms":)" +
                   milliseconds(target.to_ns - target.from_ns) + R"(,"to_ns":)" +
                   std::to_string(target.to_ns) + '}';
        }
        return out + "}}";
    }

  private:
    std::vector<Target> targets_;
    std::size_t next_ = 0;
    std::size_t reached_ = 0;
    std::uint16_t id_ = static_cast<std::uint16_t>(getpid());
    hamr::UniqueFd socket_;
};

}  // namespace

int sweep(Args args) {
    const hamr::IpAddress first = args.address("--to");
    const std::int64_t count = args.integer("--count", 1);
    const std::string interface = args.text("--interface", "eth0");
    const std::int64_t turn = args.integer("--every-us", 20'000) * 1000;
    args.refuse_unknown();
    if (!first.is_v4() || count < 1 || first.bytes()[3] + count > 256 || turn < count) {
        usage_error("--to: an IPv4 address, and --count of them within its /24");
    }
    Sweeper sweeper(first, count);
    auto packets = PacketSocket::open(interface, ETHERTYPE_IP);
    const auto opened = sweeper.open();
    if (!packets || !opened) {
        std::fprintf(stderr, "labtool: %s\n",
                     (packets ? opened.error() : packets.error()).message().c_str());
        return 1;
    }
    become_realtime();
    print_ready();
    const std::int64_t interval = turn / count;
    std::int64_t next = now_ns();
    bool told = false;
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped()) {
        poll_until({&fd, 1}, next);
        while (const auto frame = packets->receive()) sweeper.receive(*frame);
        if (!told && sweeper.all_reached()) {
            print_line(R"({"event":"answered"})");
            told = true;
        }
        const std::int64_t now = now_ns();
        // What is due after a pause is sent at once, but one turn of it at most.
        next = std::max(next, now - turn);
        for (; next <= now; next += interval) sweeper.send();
    }
    poll_until({&fd, 1}, now_ns() + 2'000'000);
    while (const auto frame = packets->receive()) sweeper.receive(*frame);
    sweeper.finish(now_ns(), turn);
    print_line(sweeper.result());
    return 0;
}

}  // namespace labtool
