// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/conntrack_filter.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

// libnetfilter_conntrack makes such filters too, but its IPv4 part loses every IPv6 message
// (1.0.9), so that both families cannot be asked for on one socket.

namespace hamr::router_io {

namespace {

constexpr std::uint32_t everything = 0xffffffff;
constexpr std::uint32_t nothing = 0;
constexpr std::uint32_t attribute_header = sizeof(nlattr);

class Program {
  public:
    void add(std::uint16_t code, std::uint32_t k, std::uint8_t yes = 0, std::uint8_t no = 0) {
        code_.push_back({code, yes, no, k});
    }
    void ret(std::uint32_t value) { add(BPF_RET | BPF_K, value); }

    /// Connections that have not begun are of no interest: a flood of SYNs is stopped here. Nor is
    /// TIME_WAIT, as a change or as the state in which an entry goes: LAST_ACK was told before it.
    void refuse_beginnings_and_graves() {
        add(BPF_LD | BPF_IMM, sizeof(nlmsghdr) + sizeof(nfgenmsg));
        // A message without a state (an end, with older kernels) skips the rest of this part.
        find(CTA_PROTOINFO, SKF_AD_NLATTR, 12);
        find(CTA_PROTOINFO_TCP, SKF_AD_NLATTR_NEST, 9);
        find(CTA_PROTOINFO_TCP_STATE, SKF_AD_NLATTR_NEST, 6);
        add(BPF_MISC | BPF_TAX, 0);
        add(BPF_LD | BPF_B | BPF_IND, attribute_header);
        add(BPF_JMP | BPF_JEQ | BPF_K, TCP_CONNTRACK_SYN_SENT, 2, 0);
        add(BPF_JMP | BPF_JEQ | BPF_K, TCP_CONNTRACK_SYN_RECV, 1, 0);
        add(BPF_JMP | BPF_JEQ | BPF_K, TCP_CONNTRACK_TIME_WAIT, 0, 1);
        ret(nothing);
    }

    /// X becomes the offset of the original tuple's destination; without one the message goes.
    void find_destination(std::uint32_t attribute) {
        add(BPF_LD | BPF_IMM, sizeof(nlmsghdr) + sizeof(nfgenmsg));
        want(CTA_TUPLE_ORIG, SKF_AD_NLATTR);
        want(CTA_TUPLE_IP, SKF_AD_NLATTR_NEST);
        want(attribute, SKF_AD_NLATTR_NEST);
        add(BPF_MISC | BPF_TAX, 0);
    }
    /// Accepts when the words at X are these.
    void accept(const IpAddress& vip) {
        const std::size_t words = vip.is_v4() ? 1 : 4;
        for (std::size_t i = 0; i < words; ++i) {
            std::uint32_t word = 0;
            std::memcpy(&word, vip.bytes().data() + 4 * i, sizeof word);
            add(BPF_LD | BPF_W | BPF_IND, static_cast<std::uint32_t>(attribute_header + 4 * i));
            // What follows of this address: two for each word that is left, and the return.
            const auto rest = static_cast<std::uint8_t>(2 * (words - 1 - i) + 1);
            add(BPF_JMP | BPF_JEQ | BPF_K, ntohl(word), 0, rest);
        }
        ret(everything);
    }
    void append(const Program& other) {
        code_.insert(code_.end(), other.code_.begin(), other.code_.end());
    }

    [[nodiscard]] std::size_t size() const { return code_.size(); }
    [[nodiscard]] std::vector<sock_filter>& code() { return code_; }

  private:
    /// A becomes the offset of the attribute; without it `skip` instructions are left out.
    void find(std::uint32_t attribute, int extension, std::uint8_t skip) {
        add(BPF_LDX | BPF_IMM, attribute);
        add(BPF_LD | BPF_B | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + extension));
        add(BPF_JMP | BPF_JEQ | BPF_K, 0, skip, 0);
    }
    /// The same, but without it the message goes.
    void want(std::uint32_t attribute, int extension) {
        find(attribute, extension, 0);
        code_.back().jf = 1;
        ret(nothing);
    }

    std::vector<sock_filter> code_;
};

Program program(const std::vector<IpAddress>& vips) {
    Program v4;
    Program v6;
    v4.find_destination(CTA_IP_V4_DST);
    v6.find_destination(CTA_IP_V6_DST);
    for (const IpAddress& vip : vips) (vip.is_v4() ? v4 : v6).accept(vip);
    v4.ret(nothing);
    v6.ret(nothing);
    Program all;
    all.refuse_beginnings_and_graves();
    all.add(BPF_LD | BPF_B | BPF_ABS, sizeof(nlmsghdr) + offsetof(nfgenmsg, nfgen_family));
    all.add(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1);
    all.add(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(v4.size()));
    all.append(v4);
    all.append(v6);
    return all;
}

}  // namespace

Result<UniqueFd> open_conntrack_socket() {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd) return fail_errno("netlink socket for connection tracking", errno);
    sockaddr_nl own{};
    own.nl_family = AF_NETLINK;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
        return fail_errno("netlink socket for connection tracking", errno);
    }
    return fd;
}

Result<> attach_conntrack_filter(int fd, const std::vector<IpAddress>& vips) {
    Program made = program(vips);
    if (made.size() > BPF_MAXINSNS) return {};
    const sock_fprog code{static_cast<unsigned short>(made.size()), made.code().data()};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof code) != 0) {
        return fail_errno("filter of connection tracking events", errno);
    }
    return {};
}

}  // namespace hamr::router_io
