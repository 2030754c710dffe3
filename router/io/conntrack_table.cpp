// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/conntrack_table.hpp"

#include "base/assert.hpp"
#include "router/io/conntrack_filter.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

namespace hamr::router_io {

using router::Flow;
using router::FlowId;
using router::KernelWork;
using router::TcpState;
using router::Translation;

namespace {

constexpr std::uint32_t established_s = 432'000;
constexpr std::uint32_t closing_s = 120;
/// Room for one message: two tuples, translations, state; some 300 bytes in IPv6.
constexpr std::size_t message_bytes = 512;
/// An update that finds nothing becomes an insertion; one that finds its first way taken, and then
/// its second, is tried after each.
constexpr int attempts = 4;

using Entry = std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)>;

/// What is to be said of a flow next.
enum class Step : std::uint8_t {
    done,
    remove,   ///< and that is all
    update,   ///< an entry that is there
    insert,   ///< one that is not
    replace,  ///< what has the client's way goes first
    clear,    ///< and what has the backend's
    refused,
};

struct Item {
    const KernelWork* work = nullptr;
    Step step = Step::done;
    int error = 0;
};

void set_address(nf_conntrack* entry, nf_conntrack_attr v4, nf_conntrack_attr v6,
                 const IpAddress& address) {
    if (address.is_v4()) {
        std::uint32_t raw = 0;
        std::memcpy(&raw, address.bytes().data(), sizeof raw);
        nfct_set_attr_u32(entry, v4, raw);
    } else {
        nfct_set_attr(entry, v6, address.bytes().data());
    }
}

Entry new_entry() {
    return {nfct_new(), &nfct_destroy};
}

void set_original(nf_conntrack* entry, const Endpoint& from, const Endpoint& to) {
    nfct_set_attr_u8(entry, ATTR_L3PROTO, to.address.is_v4() ? AF_INET : AF_INET6);
    nfct_set_attr_u8(entry, ATTR_L4PROTO, IPPROTO_TCP);
    set_address(entry, ATTR_IPV4_SRC, ATTR_IPV6_SRC, from.address);
    set_address(entry, ATTR_IPV4_DST, ATTR_IPV6_DST, to.address);
    nfct_set_attr_u16(entry, ATTR_PORT_SRC, htons(from.port));
    nfct_set_attr_u16(entry, ATTR_PORT_DST, htons(to.port));
}

void set_reply(nf_conntrack* entry, const Endpoint& from, const Endpoint& to) {
    nfct_set_attr_u8(entry, ATTR_REPL_L3PROTO, to.address.is_v4() ? AF_INET : AF_INET6);
    nfct_set_attr_u8(entry, ATTR_REPL_L4PROTO, IPPROTO_TCP);
    set_address(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, from.address);
    set_address(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, to.address);
    nfct_set_attr_u16(entry, ATTR_REPL_PORT_SRC, htons(from.port));
    nfct_set_attr_u16(entry, ATTR_REPL_PORT_DST, htons(to.port));
}

/// The kernel makes the second way out of the mirrored first one and the translations; were it
/// given as it will be, nothing would be left to translate.
void set_translation(nf_conntrack* entry, const Translation& translation) {
    set_address(entry, ATTR_DNAT_IPV4, ATTR_DNAT_IPV6, translation.backend.address);
    nfct_set_attr_u16(entry, ATTR_DNAT_PORT, htons(translation.backend.port));
    set_address(entry, ATTR_SNAT_IPV4, ATTR_SNAT_IPV6, translation.source.address);
    nfct_set_attr_u16(entry, ATTR_SNAT_PORT, htons(translation.source.port));
}

void set_state(nf_conntrack* entry, const Flow& flow) {
    constexpr std::uint8_t told =
        IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_CLOSE_INIT;
    constexpr std::uint8_t mask = told | IP_CT_TCP_FLAG_BE_LIBERAL;
    const Translation& of = *flow.translation;
    const bool established = flow.state == TcpState::established;
    const std::uint32_t other = of.timeout_s > 0 ? of.timeout_s : closing_s;
    nfct_set_attr_u32(entry, ATTR_TIMEOUT, established ? established_s : other);
    nfct_set_attr_u32(entry, ATTR_STATUS, IPS_ASSURED | IPS_SEEN_REPLY | IPS_CONFIRMED);
    nfct_set_attr_u8(entry, ATTR_TCP_STATE, static_cast<std::uint8_t>(flow.state));
    nfct_set_attr_u8(entry, ATTR_TCP_FLAGS_ORIG, (of.flags[0] & told) | IP_CT_TCP_FLAG_BE_LIBERAL);
    nfct_set_attr_u8(entry, ATTR_TCP_FLAGS_REPL, (of.flags[1] & told) | IP_CT_TCP_FLAG_BE_LIBERAL);
    nfct_set_attr_u8(entry, ATTR_TCP_MASK_ORIG, mask);
    nfct_set_attr_u8(entry, ATTR_TCP_MASK_REPL, mask);
    nfct_set_attr_u8(entry, ATTR_TCP_WSCALE_ORIG, of.scale[0]);
    nfct_set_attr_u8(entry, ATTR_TCP_WSCALE_REPL, of.scale[1]);
}

/// Messages one after the other, to be sent as one block.
class Block {
  public:
    Block() : buffer_(message_bytes * ConntrackTable::most * 3) {}

    void add(const KernelWork& work, Step step, std::uint32_t number) {
        const FlowId& id = work.id;
        switch (step) {
            case Step::replace:
            case Step::clear:
                // Whether it was there is told by what follows.
                remove(id, unasked);
                if (step == Step::clear) remove_by_reply(work);
                insert(work, number);
                break;
            case Step::remove:
                remove(id, number);
                break;
            case Step::update: {
                const Entry entry = new_entry();
                set_original(entry.get(), id.client, id.vip);
                set_state(entry.get(), *work.flow);
                write(entry.get(), IPCTNL_MSG_CT_NEW, 0, number);
                break;
            }
            case Step::insert:
                insert(work, number);
                break;
            case Step::done:
            case Step::refused:
                break;
        }
    }

    [[nodiscard]] const char* data() const { return buffer_.data(); }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// The number of messages whose answers do not matter.
    static constexpr std::uint32_t unasked = 0xffffffff;

  private:
    void remove(const FlowId& id, std::uint32_t number) {
        const Entry entry = new_entry();
        set_original(entry.get(), id.client, id.vip);
        write(entry.get(), IPCTNL_MSG_CT_DELETE, 0, number);
    }

    void remove_by_reply(const KernelWork& work) {
        const Translation& translation = *work.flow->translation;
        const Entry entry = new_entry();
        set_reply(entry.get(), translation.backend, translation.source);
        write(entry.get(), IPCTNL_MSG_CT_DELETE, 0, unasked);
    }

    void insert(const KernelWork& work, std::uint32_t number) {
        const FlowId& id = work.id;
        const Entry entry = new_entry();
        set_original(entry.get(), id.client, id.vip);
        set_reply(entry.get(), id.vip, id.client);
        set_translation(entry.get(), *work.flow->translation);
        set_state(entry.get(), *work.flow);
        write(entry.get(), IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, number);
    }

    void write(const nf_conntrack* entry, int type, int flags, std::uint32_t number) {
        HAMR_ASSERT(size_ + message_bytes <= buffer_.size());
        nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data() + size_);
        header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
        header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        header->nlmsg_seq = number;
        auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
        const bool reply_only = nfct_attr_is_set(entry, ATTR_L3PROTO) <= 0;
        family->nfgen_family =
            nfct_get_attr_u8(entry, reply_only ? ATTR_REPL_L3PROTO : ATTR_L3PROTO);
        family->version = NFNETLINK_V0;
        nfct_nlmsg_build(header, entry);
        HAMR_ASSERT(header->nlmsg_len <= message_bytes);
        size_ += MNL_ALIGN(header->nlmsg_len);
    }

    std::vector<char> buffer_;
    std::size_t size_ = 0;
};

Step first_step(const KernelWork& work) {
    if (!work.flow) return Step::remove;
    return work.known ? Step::update : Step::insert;
}

Step after_error(const Item& item, int error) {
    if (item.step == Step::remove && error == ENOENT) return Step::done;
    if (item.step == Step::update && error == ENOENT) return Step::insert;
    if (error == EEXIST && item.work->own) return Step::done;
    if (error == EEXIST && item.step == Step::insert) return Step::replace;
    if (error == EEXIST && item.step == Step::replace) return Step::clear;
    return Step::refused;
}

/// The errors that the kernel had for the messages of this block.
void read_errors(int fd, std::vector<Item>& items) {
    alignas(nlmsghdr) std::array<char, 8192> buffer{};
    for (;;) {
        const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == ENOBUFS || errno == EINTR)) continue;
        if (size <= 0) return;
        int left = static_cast<int>(size);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_seq >= items.size()) continue;
            const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
            items[message->nlmsg_seq].error = -error->error;
        }
    }
}

bool is_full(int error) {
    return error == ENOMEM || error == ENOSPC;
}

std::string words(int error) {
    if (is_full(error)) {
        return "the kernel's table of connections is full (net.netfilter.nf_conntrack_max)";
    }
    return std::strerror(error);
}

void count(ConntrackTable::Counts& counts, Step step) {
    if (step == Step::remove) ++counts.deleted;
    if (step == Step::update) ++counts.updated;
    if (step == Step::insert || step == Step::replace || step == Step::clear) ++counts.installed;
    if (step == Step::replace || step == Step::clear) ++counts.replaced;
}

}  // namespace

Result<> ConntrackTable::open() {
    auto opened = open_conntrack_socket();
    if (!opened) return tl::unexpected(opened.error());
    UniqueFd fd = std::move(*opened);
    // Errors without the messages that they are about.
    const int on = 1;
    ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    // Room for an error of each message of a block, and for a block.
    const int room = 1024 * 1024;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    fd_ = std::move(fd);
    return {};
}

std::vector<FlowId> ConntrackTable::apply(const std::vector<KernelWork>& work) {
    HAMR_ASSERT(work.size() <= most);
    std::vector<Item> items;
    items.reserve(work.size());
    for (const KernelWork& one : work) items.push_back({&one, first_step(one), 0});
    bool more = !items.empty();
    for (int attempt = 0; more; ++attempt) {
        Block block;
        for (std::size_t i = 0; i < items.size(); ++i) {
            items[i].error = 0;
            block.add(work[i], items[i].step, static_cast<std::uint32_t>(i));
        }
        const ssize_t sent = ::send(fd_.get(), block.data(), block.size(), 0);
        const int failure = sent < 0 ? errno : 0;
        read_errors(fd_.get(), items);
        more = false;
        for (Item& item : items) {
            if (item.step == Step::done || item.step == Step::refused) continue;
            if (failure != 0) item.error = failure;
            const Step before = item.step;
            item.step = item.error == 0 ? Step::done : after_error(item, item.error);
            if (item.error == 0) count(counts_, before);
            if (attempt + 1 >= attempts && item.step != Step::done) item.step = Step::refused;
            more = more || (item.step != Step::done && item.step != Step::refused);
        }
    }
    std::vector<FlowId> refused;
    for (const Item& item : items) {
        if (item.step != Step::refused || !item.work->flow) continue;
        ++counts_.refused;
        counts_.full += is_full(item.error) ? 1 : 0;
        reason_ = words(item.error);
        refused.push_back(item.work->id);
    }
    return refused;
}

}  // namespace hamr::router_io
