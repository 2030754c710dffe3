// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/packet.hpp"
#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <net/ethernet.h>

// Every frame that somebody sends as one of the VIPs. On a host's interface it sees what the bridge
// sends there; in the switch's namespace, on "any", it sees each frame as it enters its port: the
// name of the interface is then the name of the sending host.

namespace labtool {

namespace {

struct Count {
    std::uint64_t count = 0;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
};

class Recorder {
  public:
    explicit Recorder(Args& args) : summary_(args.has("--summary")) {
        for (const auto& text : args.all("--vip")) {
            const auto parsed = hamr::IpAddress::parse(text);
            if (!parsed) usage_error("--vip: not an address: " + text);
            vips_.insert(*parsed);
        }
        if (vips_.empty()) usage_error("--vip is required");
        for (const auto& name : args.all("--ignore")) ignored_.insert(name);
        const std::string kinds = args.text("--kinds", "");
        for (std::size_t from = 0; from < kinds.size();) {
            const std::size_t comma = std::min(kinds.find(',', from), kinds.size());
            kinds_.insert(kinds.substr(from, comma - from));
            from = comma + 1;
        }
    }

    void record(const Frame& frame) {
        if (frame.outgoing) return;
        const auto claim = read_claim(frame.bytes);
        if (!claim || !vips_.contains(claim->address)) return;
        if (!kinds_.empty() && !kinds_.contains(std::string(claim->kind))) return;
        const std::string& interface = name_of(frame.interface);
        if (ignored_.contains(interface)) return;
        const std::string mac = claim->source.to_string();
        if (!summary_) {
            print_line("{\"event\":\"frame\",\"ns\":" + std::to_string(frame.at_ns) +
                       ",\"mac\":" + quoted(mac) + ",\"kind\":" + quoted(claim->kind) +
                       ",\"address\":" + quoted(claim->address.to_string()) +
                       ",\"to\":" + quoted(claim->destination.to_string()) +
                       ",\"interface\":" + quoted(interface) + '}');
        }
        Count& count = counts_[{interface, mac, std::string(claim->kind)}];
        if (count.count++ == 0) count.first_ns = frame.at_ns;
        count.last_ns = frame.at_ns;
    }

    [[nodiscard]] std::string result() const {
        std::string out = "{\"event\":\"result\",\"senders\":[";
        for (const auto& [key, count] : counts_) {
            const auto& [interface, mac, kind] = key;
            if (out.back() == '}') out += ',';
            out += "{\"interface\":" + quoted(interface) + ",\"mac\":" + quoted(mac) +
                   ",\"kind\":" + quoted(kind) + ",\"count\":" + std::to_string(count.count) +
                   ",\"first_ns\":" + std::to_string(count.first_ns) +
                   ",\"last_ns\":" + std::to_string(count.last_ns) + '}';
        }
        return out + "]}";
    }

  private:
    const std::string& name_of(int index) {
        auto [place, fresh] = names_.try_emplace(index);
        if (fresh) place->second = interface_name(index);
        return place->second;
    }

    bool summary_;
    std::set<hamr::IpAddress> vips_;
    std::set<std::string> ignored_;
    std::set<std::string> kinds_;
    std::map<int, std::string> names_;
    std::map<std::tuple<std::string, std::string, std::string>, Count> counts_;
};

}  // namespace

int capture(Args args) {
    const std::string interface = args.text("--interface", "eth0");
    const std::int64_t duration = args.integer("--duration-ms", 0) * 1'000'000;
    Recorder recorder(args);
    args.refuse_unknown();
    auto packets = PacketSocket::open(interface, ETH_P_ALL);
    if (!packets) {
        std::fprintf(stderr, "labtool: %s\n", packets.error().message().c_str());
        return 1;
    }
    print_ready();
    const std::int64_t end =
        duration > 0 ? now_ns() + duration : std::numeric_limits<std::int64_t>::max();
    pollfd fd{packets->fd(), POLLIN, 0};
    while (!stopped() && now_ns() < end) {
        poll_until({&fd, 1}, end);
        while (const auto frame = packets->receive()) recorder.record(*frame);
    }
    while (const auto frame = packets->receive()) recorder.record(*frame);
    print_line(recorder.result());
    return 0;
}

}  // namespace labtool
