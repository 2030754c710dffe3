// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/pcap.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>

// As many forged heartbeats as one processor can send. Each is made of a recorded one, so addresses
// and ports are true: sent again as it was; with another tag; with a true header and nonsense
// after it; or nonsense altogether.

namespace labtool {

namespace {

constexpr std::size_t batch = 64;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t header_bytes = 20;

using Bytes = std::vector<std::uint8_t>;

struct Kind {
    const char* name;
    /// What of a datagram's content is made anew: from there to the end; 0: all of it.
    std::size_t (*from)(std::size_t content);
};

constexpr std::array<Kind, 4> kinds{{
    {"replayed", [](std::size_t content) { return content; }},
    {"tag", [](std::size_t content) { return content - tag_bytes; }},
    {"body", [](std::size_t) { return header_bytes; }},
    {"garbage", [](std::size_t) { return std::size_t{0}; }},
}};

/// A recorded frame as it is to be sent, and where its content begins.
struct Model {
    Bytes frame;
    std::size_t content = 0;
};

/// Of those in the file that went to this IPv4 address and are long enough to be heartbeats.
std::vector<Model> models(std::vector<Bytes> recorded, const hamr::MacAddress& own,
                          const hamr::IpAddress& to) {
    std::vector<Model> found;
    for (Bytes& frame : recorded) {
        const auto place = find_udp(frame);
        if (!place || frame.size() < place->udp + 8 + header_bytes + tag_bytes) continue;
        if (place->family != hamr::Family::ipv4) continue;
        if (!std::equal(&frame[place->ip + 16], &frame[place->ip + 20], to.bytes().data())) {
            continue;
        }
        // The switch learns from source addresses: a foreign one would pull its owner's traffic
        // here.
        std::copy(own.bytes.begin(), own.bytes.end(), &frame[6]);
        // "No checksum": the content is made anew each time.
        frame[place->udp + 6] = frame[place->udp + 7] = 0;
        const std::size_t content = place->udp + 8;
        found.push_back({std::move(frame), content});
    }
    return found;
}

class Flood {
  public:
    Flood(int fd, std::vector<Model> models, std::uint64_t seed)
        : fd_(fd), models_(std::move(models)), random_(seed) {}

    /// False when nothing can be sent any more.
    bool send_some(std::int64_t count) {
        std::array<mmsghdr, batch> messages{};
        std::array<iovec, batch> vectors{};
        const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(count, batch));
        for (std::size_t i = 0; i < wanted; ++i) {
            make(buffers_[i]);
            vectors[i] = {buffers_[i].data(), buffers_[i].size()};
            messages[i].msg_hdr.msg_iov = &vectors[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        std::size_t done = 0;
        while (done < wanted) {
            const int sent =
                ::sendmmsg(fd_, messages.data() + done, static_cast<unsigned>(wanted - done), 0);
            if (sent < 0 && (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)) continue;
            if (sent < 0) return false;
            done += static_cast<std::size_t>(sent);
        }
        sent_ += done;
        return true;
    }

    [[nodiscard]] std::uint64_t sent() const { return sent_; }

  private:
    void make(Bytes& out) {
        const Model& model = models_[made_ / kinds.size() % models_.size()];
        const Kind& kind = kinds[made_ % kinds.size()];
        ++made_;
        out = model.frame;
        const std::size_t size = out.size() - model.content;
        for (std::size_t at = kind.from(size); at < size; ++at) {
            out[model.content + at] = static_cast<std::uint8_t>(random_());
        }
    }

    int fd_;
    std::vector<Model> models_;
    std::mt19937_64 random_;
    std::array<Bytes, batch> buffers_;
    std::uint64_t made_ = 0;
    std::uint64_t sent_ = 0;
};

int failed(const hamr::Error& error) {
    std::fprintf(stderr, "labtool: %s\n", error.message().c_str());
    return 1;
}

}  // namespace

int flood(Args args) {
    const std::string interface = args.text("--interface", "eth0");
    const std::string file = args.required("--file");
    const std::int64_t count = args.integer("--count", 1'000'000);
    const auto seed = static_cast<std::uint64_t>(args.integer("--seed", 1));
    const hamr::IpAddress to = args.address("--to");
    args.refuse_unknown();
    const auto info = interface_info(interface);
    if (!info) return failed(info.error());
    const auto packets = PacketSocket::open(interface, 0);
    if (!packets) return failed(packets.error());
    auto recorded = read_pcap(file);
    if (!recorded) return failed(recorded.error());
    std::vector<Model> made = models(std::move(*recorded), info->mac, to);
    if (made.empty()) return failed({file + ": no heartbeats in it", {}});
    Flood flood(packets->fd(), std::move(made), seed);
    print_ready();
    const std::int64_t start = now_ns();
    while (!stopped() && static_cast<std::int64_t>(flood.sent()) < count) {
        if (!flood.send_some(count - static_cast<std::int64_t>(flood.sent()))) {
            return failed({"cannot send", {}});
        }
    }
    print_line("{\"event\":\"result\",\"sent\":" + std::to_string(flood.sent()) +
               ",\"ms\":" + milliseconds(now_ns() - start) + '}');
    return 0;
}

}  // namespace labtool
