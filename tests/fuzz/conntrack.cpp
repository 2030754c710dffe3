// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel's connection tracking tells, which strangers fill with their packets: each flow
// that is taken in can be told to a peer, who takes it, too. (One that no peer takes would end the
// stream of all flows.) The kernel's layout is trusted, since libnetfilter_conntrack ends the
// program for another: the input says which attributes there are, and what is in them.
#include "router/flow_wire.hpp"
#include "router/io/netlink_parse.hpp"
#include "tests/fuzz/target.hpp"

#include <array>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hamr::fuzz {

namespace {

using namespace hamr::router;

/// Attributes of an entry: a byte says which, the bytes after it are their values.
class Entry {
  public:
    explicit Entry(Bytes input) : in_(input) {
        header_->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
        auto* of = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
        of->nfgen_family = in_.read<std::uint8_t>() % 2 == 0 ? AF_INET : AF_INET6;
        for (int i = 0; i < 12 && in_.left() > 0; ++i) attribute(in_.read<std::uint8_t>());
    }

    [[nodiscard]] std::optional<Flow> read() const { return router_io::flow_of(header_); }

  private:
    void attribute(std::uint8_t which) {
        switch (which % 8) {
            case 0:
                return tuple(CTA_TUPLE_ORIG, which);
            case 1:
                return tuple(CTA_TUPLE_REPLY, which);
            case 2:
                return mnl_attr_put_u32(header_, CTA_STATUS, htonl(in_.read<std::uint32_t>()));
            case 3:
                return mnl_attr_put_u32(header_, CTA_TIMEOUT, htonl(in_.read<std::uint32_t>()));
            case 4:
                return mnl_attr_put_u16(header_, CTA_ZONE, htons(in_.read<std::uint16_t>()));
            case 5:
                return state();
            case 6:
                return mnl_attr_put_u32(header_, CTA_ID, in_.read<std::uint32_t>());
            default:
                return mnl_attr_put_u32(header_, CTA_MARK, in_.read<std::uint32_t>());
        }
    }

    void tuple(std::uint16_t type, std::uint8_t which) {
        nlattr* const outer = mnl_attr_nest_start(header_, type);
        nlattr* const ip = mnl_attr_nest_start(header_, CTA_TUPLE_IP);
        const bool v4 = (which & 8) == 0;
        for (const std::uint16_t side : {0, 1}) {
            const Bytes address = in_.take(v4 ? 4 : 16);
            const auto at = static_cast<std::uint16_t>((v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC) + side);
            if (!address.empty()) mnl_attr_put(header_, at, address.size(), address.data());
        }
        mnl_attr_nest_end(header_, ip);
        nlattr* const protocol = mnl_attr_nest_start(header_, CTA_TUPLE_PROTO);
        const bool tcp = (which & 16) == 0;
        mnl_attr_put_u8(header_, CTA_PROTO_NUM,
                        tcp ? std::uint8_t{IPPROTO_TCP} : in_.read<std::uint8_t>());
        mnl_attr_put_u16(header_, CTA_PROTO_SRC_PORT, htons(in_.read<std::uint16_t>()));
        if ((which & 32) == 0) {
            mnl_attr_put_u16(header_, CTA_PROTO_DST_PORT, htons(in_.read<std::uint16_t>()));
        }
        mnl_attr_nest_end(header_, protocol);
        mnl_attr_nest_end(header_, outer);
    }

    void state() {
        nlattr* const outer = mnl_attr_nest_start(header_, CTA_PROTOINFO);
        nlattr* const tcp = mnl_attr_nest_start(header_, CTA_PROTOINFO_TCP);
        mnl_attr_put_u8(header_, CTA_PROTOINFO_TCP_STATE, in_.read<std::uint8_t>());
        for (const std::uint16_t scale :
             {CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, CTA_PROTOINFO_TCP_WSCALE_REPLY}) {
            mnl_attr_put_u8(header_, scale, in_.read<std::uint8_t>());
        }
        for (const std::uint16_t flags :
             {CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY}) {
            const std::array<std::uint8_t, 2> both{in_.read<std::uint8_t>(), 0xff};  // and the mask
            mnl_attr_put(header_, flags, both.size(), both.data());
        }
        mnl_attr_nest_end(header_, tcp);
        mnl_attr_nest_end(header_, outer);
    }

    ByteReader in_;
    alignas(nlmsghdr) std::array<char, 4096> buffer_{};
    nlmsghdr* header_ = mnl_nlmsg_put_header(buffer_.data());
};

void run(Bytes input) {
    const auto flow = Entry(input).read();
    if (!flow || flow->state == TcpState::none) return;
    const AddFlows told{1, {*flow}};
    HAMR_ASSERT(decode_flow_message(encode(told)) == FlowMessage(told));
    const RemoveFlows over{1, {flow->id}};
    HAMR_ASSERT(decode_flow_message(encode(over)) == FlowMessage(over));
}

}  // namespace

const Target conntrack{"conntrack", run, 16 << 10, 8};

}  // namespace hamr::fuzz
