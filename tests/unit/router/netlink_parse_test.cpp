// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/netlink_parse.hpp"

#include "router/ruleset.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <string>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace hamr::router_io {
namespace {

using Buffer = std::array<char, 1024>;

/// An entry as the kernel tells it: a client's connection to 192.0.2.100:6446.
class Told {
  public:
    Told(const std::string& client, const std::string& backend) {
        set(ATTR_ORIG_IPV4_SRC, ATTR_ORIG_PORT_SRC, client);
        set(ATTR_ORIG_IPV4_DST, ATTR_ORIG_PORT_DST, "192.0.2.100:6446");
        set(ATTR_REPL_IPV4_SRC, ATTR_REPL_PORT_SRC, backend);
        set(ATTR_REPL_IPV4_DST, ATTR_REPL_PORT_DST, "192.0.2.100:50000");
        for (const nf_conntrack_attr family : {ATTR_ORIG_L3PROTO, ATTR_REPL_L3PROTO}) {
            nfct_set_attr_u8(entry_.get(), family, AF_INET);
        }
        for (const nf_conntrack_attr protocol : {ATTR_ORIG_L4PROTO, ATTR_REPL_L4PROTO}) {
            nfct_set_attr_u8(entry_.get(), protocol, IPPROTO_TCP);
        }
        nfct_set_attr_u8(entry_.get(), ATTR_TCP_STATE, 3);
        nfct_set_attr_u32(entry_.get(), ATTR_STATUS, IPS_CONFIRMED | IPS_DST_NAT);
        nfct_set_attr_u32(entry_.get(), ATTR_TIMEOUT, 432'000);
    }

    [[nodiscard]] nf_conntrack* entry() { return entry_.get(); }

    [[nodiscard]] std::optional<router::Flow> read() {
        alignas(nlmsghdr) Buffer buffer{};
        nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
        header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
        auto* of = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
        of->nfgen_family = AF_INET;
        EXPECT_EQ(nfct_nlmsg_build(header, entry_.get()), 0);
        return flow_of(header);
    }

  private:
    void set(nf_conntrack_attr address, nf_conntrack_attr port, const std::string& endpoint) {
        const std::size_t colon = endpoint.rfind(':');
        in_addr raw{};
        EXPECT_EQ(::inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &raw), 1);
        nfct_set_attr_u32(entry_.get(), address, raw.s_addr);
        const auto number = static_cast<std::uint16_t>(std::stoi(endpoint.substr(colon + 1)));
        nfct_set_attr_u16(entry_.get(), port, htons(number));
    }

    std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)> entry_{nfct_new(), &nfct_destroy};
};

TEST(RouterNetlink, an_entry_is_a_flow_with_its_translation) {
    const auto flow = Told("192.0.2.50:40000", "192.0.2.21:3306").read();
    ASSERT_TRUE(flow);
    EXPECT_EQ(flow->id.client, *Endpoint::parse("192.0.2.50:40000"));
    EXPECT_EQ(flow->id.vip, *Endpoint::parse("192.0.2.100:6446"));
    EXPECT_EQ(flow->state, router::TcpState::established);
    ASSERT_TRUE(flow->translation);
    EXPECT_EQ(flow->translation->backend, *Endpoint::parse("192.0.2.21:3306"));
    EXPECT_EQ(flow->translation->source, *Endpoint::parse("192.0.2.100:50000"));
}

TEST(RouterNetlink, the_hosts_own_half_in_the_zone_apart_is_no_flow) {
    Told told("192.0.2.50:40000", "192.0.2.21:3306");
    nfct_set_attr_u16(told.entry(), ATTR_ZONE, router::apart_zone);
    EXPECT_FALSE(told.read());
}

/// A peer ends the stream of all flows when it is told one that it does not take (F6), and is told
/// it again in the next snapshot: nobody may bring that about by the packets that he sends.
TEST(RouterNetlink, what_no_peer_takes_is_no_flow) {
    const std::string backend = "192.0.2.21:3306";
    for (const char* client : {"192.0.2.50:0", "240.0.0.1:40000", "224.0.0.1:40000", "0.0.0.0:1"}) {
        EXPECT_FALSE(Told(client, backend).read()) << client;
    }
    EXPECT_FALSE(Told("192.0.2.50:40000", "192.0.2.21:0").read());
    EXPECT_FALSE(Told("192.0.2.50:40000", "0.0.0.0:3306").read());
}

/// What is read of an NLMSG_ERROR with so many bytes of this number.
int error_told(int negative, std::size_t bytes = sizeof(int)) {
    alignas(nlmsghdr) std::array<char, 64> buffer{};
    nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = NLMSG_ERROR;
    std::memcpy(buffer.data() + sizeof *header, &negative, sizeof negative);
    header->nlmsg_len += static_cast<std::uint32_t>(bytes);
    return error_of(header);
}

TEST(RouterNetlink, errors_are_numbers_and_nonsense_is_one) {
    EXPECT_EQ(error_told(0), 0);
    EXPECT_EQ(error_told(-ENOENT), ENOENT);
    EXPECT_EQ(error_told(ENOENT), EPROTO);
    EXPECT_EQ(error_told(INT_MIN), EPROTO);
    EXPECT_EQ(error_told(-ENOENT, 3), EPROTO);
}

}  // namespace
}  // namespace hamr::router_io
