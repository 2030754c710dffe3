// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/voice.hpp"

#include "tests/lab/tool/process.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <net/ethernet.h>
#include <netinet/in.h>

namespace labtool {

namespace {

constexpr std::uint8_t tcp_fin_syn_rst_ack = 0x17;
constexpr std::uint8_t tcp_syn = 0x02;
constexpr std::uint8_t tcp_rst_ack = 0x14;
constexpr std::uint8_t tcp_syn_ack = 0x12;
constexpr std::uint8_t echo_reply4 = 0;
constexpr std::uint8_t echo_reply6 = 129;
constexpr std::uint8_t advertisement = 136;
constexpr std::int64_t oldest_question_ns = 4'000'000'000'000;  // the numbers run round later

std::uint64_t number_at(Octets bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
}

/// The last instant before `at_ns` with this number; 0 when that is no question of ours.
std::int64_t instant_of(std::uint32_t number, std::int64_t at_ns) {
    const auto age_us = static_cast<std::uint32_t>(syn_number(at_ns) - number);
    const std::int64_t age_ns = std::int64_t{age_us} * 1000;
    return age_ns < oldest_question_ns ? at_ns - age_ns : 0;
}

void read_tcp(Octets segment, std::int64_t at_ns, Voice& voice) {
    voice.kind = "tcp";
    if (segment.size() < 20) return;
    const std::uint8_t flags = segment[13] & tcp_fin_syn_rst_ack;
    if (flags == tcp_syn) voice.kind = "syn";
    if (flags != tcp_syn_ack && flags != tcp_rst_ack) return;
    voice.kind = flags == tcp_syn_ack ? "synack" : "rst";
    const auto acknowledged = static_cast<std::uint32_t>(number_at(segment, 8, 4));
    voice.asked_ns = instant_of(acknowledged - 1, at_ns);
}

void read_upper(Octets packet, std::uint8_t protocol, std::int64_t at_ns, Voice& voice) {
    voice.kind = "ip";
    if (protocol == IPPROTO_TCP) return read_tcp(packet, at_ns, voice);
    const bool echo = !packet.empty() && ((protocol == IPPROTO_ICMP && packet[0] == echo_reply4) ||
                                          (protocol == IPPROTO_ICMPV6 && packet[0] == echo_reply6));
    if (!echo) return;
    voice.kind = "echo";
    if (packet.size() >= 16) voice.asked_ns = static_cast<std::int64_t>(number_at(packet, 8, 8));
}

}  // namespace

std::uint32_t syn_number(std::int64_t now_ns) {
    return static_cast<std::uint32_t>(now_ns / 1000);
}

std::optional<Voice> read_voice(Octets frame, const std::vector<hamr::IpAddress>& vips,
                                std::int64_t at_ns) {
    const auto claim = read_claim(frame);
    if (!claim || std::find(vips.begin(), vips.end(), claim->address) == vips.end()) {
        return std::nullopt;
    }
    Voice voice;
    voice.kind = claim->kind;
    voice.v4 = claim->address.is_v4();
    voice.source = claim->source;
    const Octets packet = frame.subspan(14);
    if (claim->kind == "na") {
        const bool solicited = packet[40] == advertisement && (packet[44] & 0x40) != 0;
        if (!solicited) voice.kind = "una";
    } else if (claim->kind == "ip" && voice.v4) {
        const std::size_t header = (packet[0] & 0x0fU) * 4U;
        if (packet.size() >= header) {
            read_upper(packet.subspan(header), packet[9], at_ns, voice);
        }
    } else if (claim->kind == "ip") {
        read_upper(packet.subspan(40), packet[6], at_ns, voice);
    }
    return voice;
}

void Lines::add(std::string_view line) {
    if (waiting_.empty()) since_ns_ = now_ns();
    waiting_.append(line);
    waiting_ += '\n';
}

void Lines::tick(std::int64_t now_ns) {
    constexpr std::size_t many = 32'768;
    constexpr std::int64_t long_ns = 20'000'000;
    if (waiting_.size() > many || (!waiting_.empty() && now_ns - since_ns_ > long_ns)) flush();
}

void Lines::flush() {
    const bool written =
        std::fwrite(waiting_.data(), 1, waiting_.size(), stdout) == waiting_.size() &&
        std::fflush(stdout) == 0;
    if (!written) std::exit(1);
    waiting_.clear();
}

}  // namespace labtool
