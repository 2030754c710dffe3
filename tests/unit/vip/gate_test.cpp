// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/gate/gate.hpp"

#include "tests/unit/vip/netns.hpp"
#include "vip/frames.hpp"
#include "vip/gate/filters.hpp"
#include "vip/io/packet_socket.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// DESIGN's promise of the gate, on the wire: what comes out at the far end of a veth pair.

namespace hamr::vip {
namespace {

using namespace test;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

const IpAddress vip4 = *IpAddress::parse("192.0.2.100");
const IpAddress vip6 = *IpAddress::parse("2001:db8::100");
const IpAddress own4 = *IpAddress::parse("192.0.2.11");
const IpAddress own6 = *IpAddress::parse("2001:db8::11");
const IpAddress peer4 = *IpAddress::parse("192.0.2.1");
const IpAddress peer6 = *IpAddress::parse("2001:db8::1");
const MacAddress near_mac = *MacAddress::parse("02:00:5e:00:53:01");
const GateGroup first{0};
const GateGroup second{1};

Gate open_gate() {
    const std::vector<std::vector<IpAddress>> groups{{vip4, vip6}};
    auto gate = Gate::open(groups);
    if (!gate) throw std::runtime_error(gate.error().message());
    return std::move(*gate);
}

/// A gate on near, shut.
struct Guarded {
    Guarded() {
        const auto attached = gate.attach(index_of("near"));
        EXPECT_TRUE(attached) << attached.error().message();
    }
    void open_for_long() { gate.set_until(first, BootClock::now() + 1h); }
    void shut() { gate.set_until(first, long_ago); }

    Gate gate = open_gate();
    Wire wire;
};

void give_vips_to(const char* interface) {
    const std::string dev = std::string(" dev ") + interface;
    ASSERT_TRUE(shell("ip address add 192.0.2.100/24" + dev));
    ASSERT_TRUE(shell("ip address add 2001:db8::100/64 nodad" + dev));
    ASSERT_TRUE(answers_for("2001:db8::100"));
}

TEST(Gate, every_kind_of_frame_sent_as_a_vip_is_dropped_when_shut_and_passes_when_open) {
    struct Row {
        const char* name;
        Octets frame;
    };
    const Frame na = neighbour_advertisement(vip6, near_mac, false);
    Octets na_from_another = octets(na.view());
    na_from_another[37] = std::byte{0x11};  // the source is 2001:db8::11, the target the VIP
    Octets na_behind_options = octets(na_from_another);
    const Octets options = from_hex("3a 00 05 02 00 00 00 00");
    na_behind_options[20] = std::byte{0};
    na_behind_options[19] = std::byte{40};
    na_behind_options.insert(na_behind_options.begin() + 54, options.begin(), options.end());
    const std::vector<Row> rows{
        {"IPv4", udp_frame(vip4)},
        {"IPv6", udp_frame(vip6)},
        {"TCP", tcp_frame(vip4, Tcp::ack)},
        {"TCP over IPv6", tcp_frame(vip6, Tcp::syn_ack)},
        {"ARP request", octets(gratuitous_arp_request(vip4, near_mac).view())},
        {"ARP reply", octets(gratuitous_arp_reply(vip4, near_mac).view())},
        {"advertisement", octets(na.view())},
        {"advertisement from another address", na_from_another},
        {"advertisement behind a hop-by-hop header", na_behind_options},
        {"solicitation from the VIP", ip_frame(vip6, 58, from_hex("87 00 00 00 00 00 00 00"))},
        {"tagged IPv4", tagged(udp_frame(vip4))},
        {"tagged IPv6", tagged(udp_frame(vip6), 0x88a8)},
        {"tagged ARP", tagged(octets(gratuitous_arp_reply(vip4, near_mac).view()))},
        {"tagged advertisement", tagged(na_from_another)},
    };
    HAMR_IN_NAMESPACE([&] {
        Guarded host;
        for (const Row& row : rows) {
            host.shut();
            EXPECT_FALSE(host.wire.passes(row.frame)) << row.name << ", shut";
            host.open_for_long();
            EXPECT_TRUE(host.wire.passes(row.frame)) << row.name << ", open";
        }
        const auto counters = host.gate.counters();
        ASSERT_TRUE(counters);
        EXPECT_EQ(counters->dropped(), rows.size());
        EXPECT_EQ(counters->dropped_arp, 3U);
        EXPECT_EQ(counters->dropped_nd, 3U);
        EXPECT_EQ(counters->forwarded, 0U);
    });
}

TEST(Gate, everything_else_passes_when_shut) {
    struct Row {
        const char* name;
        Octets frame;
    };
    Octets to_vip = udp_frame(own4);
    to_vip[33] = std::byte{100};
    Octets probe = octets(gratuitous_arp_request(IpAddress::v4({0, 0, 0, 0}), near_mac).view());
    probe[41] = std::byte{100};
    const std::vector<Row> rows{
        {"IPv4 of the host", udp_frame(own4)},
        {"IPv6 of the host", udp_frame(own6)},
        {"towards the VIP", to_vip},
        {"ARP of the host", octets(gratuitous_arp_request(own4, near_mac).view())},
        {"a probe for the VIP", probe},
        {"advertisement of the host",
         octets(neighbour_advertisement(own6, near_mac, false).view())},
        {"a neighbour of the VIP", udp_frame(IpAddress::v4({192, 0, 2, 101}))},
        {"short", from_hex("02 00 5e 00 53 02 02 00 5e 00 53 01 08 00 45 00")},
    };
    HAMR_IN_NAMESPACE([&] {
        Guarded host;
        for (const Row& row : rows) EXPECT_TRUE(host.wire.passes(row.frame)) << row.name;
        EXPECT_EQ(host.gate.counters()->dropped(), 0U);
    });
}

TEST(Gate, the_hosts_own_stack_and_its_arp_and_nd_answers_are_judged) {
    HAMR_IN_NAMESPACE([] {
        Guarded host;
        ASSERT_NO_FATAL_FAILURE(give_vips_to("near"));
        const auto sends_as = [&](const IpAddress& vip, const IpAddress& to) {
            return host.wire.sends([&] { send_udp(vip, to); },
                                   [&](const Octets& frame) { return is_sent_as(frame, vip); });
        };
        for (const bool open : {false, true, false}) {
            host.gate.set_until(first, open ? BootClock::now() + 1h : long_ago);
            EXPECT_EQ(sends_as(vip4, peer4), open);
            EXPECT_EQ(sends_as(vip6, peer6), open);
            EXPECT_EQ(host.wire.answers(question(vip4), question(own4), vip4, own4), open);
            EXPECT_EQ(host.wire.answers(question(vip6), question(own6), vip6, own6), open);
        }
    });
}

TEST(Gate, announcements_by_the_packet_socket_are_judged) {
    HAMR_IN_NAMESPACE([] {
        Guarded host;
        auto socket = PacketSocket::open();
        ASSERT_TRUE(socket) << socket.error().message();
        for (const IpAddress& vip : {vip4, vip6}) {
            const Announce announce{index_of("near"), vip, near_mac};
            const auto announced = [&] {
                return host.wire.sends([&] { static_cast<void>(socket->send(announce)); },
                                       [&](const Octets& seen) { return is_sent_as(seen, vip); });
            };
            host.shut();
            EXPECT_FALSE(announced());
            host.open_for_long();
            EXPECT_TRUE(announced());
        }
    });
}

TEST(Gate, closes_by_itself_at_the_deadline) {
    HAMR_IN_NAMESPACE([] {
        Guarded host;
        const BootTime until = BootClock::now() + 150ms;
        host.gate.set_until(first, until);
        EXPECT_EQ(host.gate.until(first), until);
        const Octets frame = udp_frame(vip4);
        bool passed_before = false;
        while (BootClock::now() < until) {
            // Judged somewhere between the two readings of the clock.
            const bool passed = host.wire.passes(frame);
            if (BootClock::now() < until) {
                EXPECT_TRUE(passed);
                passed_before = true;
            }
        }
        EXPECT_TRUE(passed_before);
        for (int i = 0; i < 10; ++i) EXPECT_FALSE(host.wire.passes(frame));
        host.open_for_long();
        EXPECT_TRUE(host.wire.passes(frame)) << "a renewal opens it again";
    });
}

TEST(Gate, outlives_its_owner_and_closes_all_the_same) {
    HAMR_IN_NAMESPACE([] {
        Wire wire;
        const BootTime until = BootClock::now() + 100ms;
        {
            Gate gate = open_gate();
            ASSERT_TRUE(gate.attach(index_of("near")));
            gate.set_until(first, until);
        }
        while (BootClock::now() < until) std::this_thread::yield();
        EXPECT_FALSE(wire.passes(udp_frame(vip4)));
        EXPECT_TRUE(wire.passes(udp_frame(own4)));
    });
}

TEST(Gate, a_leftover_is_replaced_by_the_new_agents) {
    HAMR_IN_NAMESPACE([] {
        Wire wire;
        const InterfaceIndex near = index_of("near");
        Gate dead = open_gate();
        ASSERT_TRUE(dead.attach(near));
        Gate gate = open_gate();
        EXPECT_FALSE(gate.attached(near).value()) << "the other one is";
        gate.set_until(first, BootClock::now() + 1h);
        ASSERT_TRUE(gate.attach(near));
        EXPECT_TRUE(gate.attached(near).value());
        EXPECT_FALSE(dead.attached(near).value());
        EXPECT_EQ(list_filters(near, FilterSide::egress)->size(), 1U);
        EXPECT_TRUE(wire.passes(udp_frame(vip4)));
        ASSERT_TRUE(gate.attach(near)) << "attaching twice is attaching once";
        EXPECT_EQ(list_filters(near, FilterSide::egress)->size(), 1U);
    });
}

TEST(Gate, groups_are_judged_apart) {
    HAMR_IN_NAMESPACE([] {
        const std::vector<std::vector<IpAddress>> groups{{vip4}, {vip6}};
        auto gate = Gate::open(groups);
        ASSERT_TRUE(gate);
        EXPECT_EQ(gate->groups(), 2U);
        ASSERT_TRUE(gate->attach(index_of("near")));
        Wire wire;
        gate->set_until(second, BootClock::now() + 1h);
        EXPECT_FALSE(wire.passes(udp_frame(vip4)));
        EXPECT_TRUE(wire.passes(udp_frame(vip6)));
        gate->set_until(first, never);
        gate->set_until(second, BootTime{});
        EXPECT_TRUE(wire.passes(udp_frame(vip4)));
        EXPECT_FALSE(wire.passes(udp_frame(vip6)));
    });
}

TEST(Gate, a_former_leader_forwards_segments_of_open_connections_only) {
    struct Row {
        const char* name;
        Octets frame;
        bool passes;
    };
    const Octets syn = tcp_frame(vip4, Tcp::syn);
    Octets fragment = tcp_frame(vip4, Tcp::ack);
    fragment[21] = std::byte{1};
    const std::vector<Row> rows{
        {"ACK", tcp_frame(vip4, Tcp::ack), true},
        {"FIN", tcp_frame(vip4, Tcp::fin_ack), true},
        {"SYN-ACK", tcp_frame(vip4, Tcp::syn_ack), true},
        {"RST of this host", tcp_frame(vip4, Tcp::rst), false},
        {"IPv6 RST of this host", tcp_frame(vip6, Tcp::rst), false},
        {"IPv6 ACK", tcp_frame(vip6, Tcp::ack), true},
        {"SYN", syn, false},
        {"IPv6 SYN", tcp_frame(vip6, Tcp::syn), false},
        {"a later fragment", fragment, false},
        {"UDP", udp_frame(vip4), false},
        {"ARP reply", octets(gratuitous_arp_reply(vip4, near_mac).view()), false},
        {"advertisement", octets(neighbour_advertisement(vip6, near_mac, false).view()), false},
    };
    HAMR_IN_NAMESPACE([&] {
        Guarded host;
        host.gate.set_forward(first, BootClock::now() + 1h);
        for (const Row& row : rows) EXPECT_EQ(host.wire.passes(row.frame), row.passes) << row.name;
        EXPECT_EQ(host.gate.counters()->forwarded, 4U);
        host.gate.set_forward(first, BootClock::now() - 1ms);
        EXPECT_FALSE(host.wire.passes(rows[0].frame)) << "until its own deadline";
        EXPECT_LT(host.gate.forward(first), BootClock::now());
    });
}

TEST(Gate, this_hosts_own_resets_pass_with_their_mark_only_where_that_is_asked_for) {
    HAMR_IN_NAMESPACE([] {
        Guarded host;
        host.open_for_long();
        const auto rst4 = tcp_frame(vip4, Tcp::rst);
        const auto rst6 = tcp_frame(vip6, Tcp::rst);
        EXPECT_TRUE(host.wire.passes(rst4));
        host.gate.guard_resets(true);
        EXPECT_FALSE(host.wire.passes(rst4));
        EXPECT_FALSE(host.wire.passes(rst6));
        EXPECT_TRUE(host.wire.passes(tcp_frame(vip4, Tcp::ack)));
        EXPECT_TRUE(host.wire.passes(tcp_frame(vip6, Tcp::syn_ack)));
        EXPECT_TRUE(host.wire.passes(tcp_frame(own4, Tcp::rst))) << "no VIP's";
        EXPECT_EQ(host.gate.counters()->dropped_resets, 2U);
        host.shut();
        host.gate.set_forward(first, BootClock::now() + 1h);
        EXPECT_FALSE(host.wire.passes(rst4));
        host.open_for_long();
        host.gate.guard_resets(false);
        EXPECT_TRUE(host.wire.passes(rst4));
    });
}

TEST(Gate, judges_what_a_vlan_device_sends) {
    HAMR_IN_NAMESPACE([] {
        Guarded host;
        if (!shell("ip link add link near name near.10 type vlan id 10 2>/dev/null")) {
            GTEST_SKIP() << "no VLAN devices in this kernel";
        }
        ASSERT_TRUE(
            shell("ip link set near.10 up && ip address add 198.51.100.2/24 dev near.10 && "
                  "ip address add 192.0.2.100/32 dev near.10 && ip neighbour add "
                  "198.51.100.1 lladdr 02:00:5e:00:53:02 dev near.10"));
        const auto sends = [&] {
            return host.wire.sends([&] { send_udp(vip4, *IpAddress::parse("198.51.100.1")); },
                                   [&](const Octets& seen) {
                                       // The tag may come in the frame or beside it.
                                       Octets untagged = seen;
                                       if (seen.size() > 18 && seen[12] == std::byte{0x81}) {
                                           untagged.erase(untagged.begin() + 12,
                                                          untagged.begin() + 16);
                                       }
                                       return is_sent_as(untagged, vip4);
                                   });
        };
        EXPECT_FALSE(sends());
        host.open_for_long();
        EXPECT_TRUE(sends());
    });
}

TEST(Gate, judges_devices_without_an_ethernet_header) {
    HAMR_IN_NAMESPACE([] {
        const UniqueFd tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
        ifreq request{};
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        std::strcpy(request.ifr_name, "tun0");
        if (!tun || ::ioctl(tun.get(), TUNSETIFF, &request) != 0) {
            GTEST_SKIP() << "no tun devices here";
        }
        ASSERT_TRUE(
            shell("sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1; ip link set tun0 up && "
                  "ip address add 203.0.113.1/24 dev tun0 && "
                  "ip address add 192.0.2.100/32 dev tun0"));
        Gate gate = open_gate();
        ASSERT_TRUE(gate.attach(index_of("tun0")));
        const auto comes_out = [&](const IpAddress& source) {
            send_udp(source, *IpAddress::parse("203.0.113.9"));
            send_udp(*IpAddress::parse("203.0.113.1"), *IpAddress::parse("203.0.113.9"));
            for (int i = 0; i < 100; ++i) {
                pollfd ready{tun.get(), POLLIN, 0};
                ::poll(&ready, 1, 100);
                std::array<std::byte, 2048> packet{};
                const ssize_t size = ::read(tun.get(), packet.data(), packet.size());
                if (size < 20) continue;
                if (std::memcmp(&packet[12], source.bytes().data(), 4) == 0) return true;
                if (packet[12] == std::byte{203}) return false;
            }
            ADD_FAILURE() << "nothing came out of the tunnel";
            return false;
        };
        EXPECT_FALSE(comes_out(vip4));
        gate.set_until(first, BootClock::now() + 1h);
        EXPECT_TRUE(comes_out(vip4));
        EXPECT_EQ(gate.counters()->dropped_ipv4, 1U);
    });
}

TEST(Gate, judges_loopback_too) {
    HAMR_IN_NAMESPACE([] {
        Gate gate = open_gate();
        ASSERT_TRUE(gate.attach(index_of("lo")));
        ASSERT_NO_FATAL_FAILURE(give_vips_to("near"));
        send_udp(vip4, own4);
        EXPECT_EQ(gate.counters()->dropped_ipv4, 1U);
        gate.set_until(first, BootClock::now() + 1h);
        send_udp(vip4, own4);
        EXPECT_EQ(gate.counters()->dropped_ipv4, 1U);
    });
}

TEST(Gate, detaching_leaves_nothing) {
    HAMR_IN_NAMESPACE([] {
        const InterfaceIndex near = index_of("near");
        Gate gate = open_gate();
        EXPECT_TRUE(gate.detach(near)) << "nothing there is no error";
        ASSERT_TRUE(gate.attach(near));
        ASSERT_THAT(output_of("tc qdisc show dev near"), HasSubstr("clsact"));
        ASSERT_TRUE(gate.detach(near));
        EXPECT_FALSE(gate.attached(near).value());
        EXPECT_THAT(output_of("tc qdisc show dev near"), Not(HasSubstr("clsact")));
    });
}

TEST(Gate, somebody_elses_filter_is_left_alone) {
    HAMR_IN_NAMESPACE([] {
        const InterfaceIndex near = index_of("near");
        Gate gate = open_gate();
        ASSERT_TRUE(gate.attach(near));
        const bool other =
            shell("tc filter add dev near egress prio 7 protocol all matchall 2>/dev/null") ||
            shell("tc filter add dev near egress prio 7 protocol ip u32 match u32 0 0 2>/dev/null");
        if (!other) GTEST_SKIP() << "no other kind of filter in this kernel";
        EXPECT_EQ(Gate::cleanup().value(), 1);
        const auto left = list_filters(near, FilterSide::egress);
        ASSERT_TRUE(left);
        EXPECT_FALSE(left->empty());
        for (const Filter& filter : *left) EXPECT_EQ(filter.priority, 7U);
    });
}

TEST(Gate, a_filter_of_another_kind_in_its_place_is_named) {
    HAMR_IN_NAMESPACE([] {
        const bool other = shell(
            "tc qdisc add dev near clsact && "
            "tc filter add dev near egress prio 1 protocol ip u32 match u32 0 0 2>/dev/null");
        if (!other) GTEST_SKIP() << "no u32 filter in this kernel";
        Gate gate = open_gate();
        const auto attached = gate.attach(index_of("near"));
        ASSERT_FALSE(attached);
        EXPECT_THAT(attached.error().message(), HasSubstr("near: another filter (u32"));
    });
}

TEST(Gate, somebody_who_removes_it_is_noticed_and_it_can_be_put_back) {
    HAMR_IN_NAMESPACE([] {
        Guarded host;
        const InterfaceIndex near = index_of("near");
        EXPECT_TRUE(host.gate.attached(near).value());
        ASSERT_TRUE(shell("tc qdisc del dev near clsact"));
        EXPECT_FALSE(host.gate.attached(near).value());
        ASSERT_TRUE(host.gate.attach(near));
        EXPECT_TRUE(host.gate.attached(near).value());
        EXPECT_FALSE(host.wire.passes(udp_frame(vip4)));
    });
}

TEST(Gate, cleanup_takes_gates_off_every_interface) {
    HAMR_IN_NAMESPACE([] {
        {
            Gate gate = open_gate();
            for (const char* name : {"lo", "near", "far"}) {
                ASSERT_TRUE(gate.attach(index_of(name)));
            }
        }
        EXPECT_EQ(Gate::cleanup().value(), 3);
        EXPECT_EQ(Gate::cleanup().value(), 0);
        EXPECT_THAT(output_of("tc qdisc show"), Not(HasSubstr("clsact")));
    });
}

TEST(Gate, attaching_to_an_interface_that_is_not_there_is_an_error) {
    HAMR_IN_NAMESPACE([] {
        Gate gate = open_gate();
        const auto attached = gate.attach(InterfaceIndex{4711});
        ASSERT_FALSE(attached);
        EXPECT_THAT(attached.error().message(), HasSubstr("interface 4711"));
        EXPECT_TRUE(gate.detach(InterfaceIndex{4711}));
    });
}

TEST(Gate, an_address_in_two_groups_is_an_error) {
    HAMR_IN_NAMESPACE([] {
        const std::vector<std::vector<IpAddress>> groups{{vip4}, {vip6, vip4}};
        const auto gate = Gate::open(groups);
        ASSERT_FALSE(gate);
        EXPECT_THAT(gate.error().message(), HasSubstr("192.0.2.100 belongs to two groups"));
    });
}

/// Keeps only these capabilities, for the calling thread.
void keep_capabilities(std::initializer_list<int> kept) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    for (const int capability : kept) {
        auto& word = data[static_cast<std::size_t>(capability / 32)];
        word.effective |= 1U << (capability % 32);
        word.permitted |= 1U << (capability % 32);
    }
    ASSERT_EQ(::syscall(SYS_capset, &header, data.data()), 0);
}

/// As they are after exec: other descriptors for the same maps and programs.
GateHandles inherited(const Gate& gate) {
    GateHandles handles = gate.handles();
    for (int* fd : {&handles.groups, &handles.counters, &handles.ether, &handles.bare}) {
        *fd = ::fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    }
    return handles;
}

TEST(Gate, the_next_program_goes_on_with_the_gate_that_stands) {
    HAMR_IN_NAMESPACE([] {
        std::optional<Gate> before(open_gate());
        ASSERT_TRUE(before->attach(index_of("near")));
        const BootTime until = BootClock::now() + 1h;
        before->set_until(first, until);
        auto after = Gate::adopt(inherited(*before), 1);
        ASSERT_TRUE(after) << after.error().message();
        before.reset();
        EXPECT_EQ(after->until(first), until);
        EXPECT_TRUE(after->attached(index_of("near")).value());
        EXPECT_TRUE(after->counters());
        EXPECT_TRUE(after->attach(index_of("lo"))) << "and puts it on other interfaces, too";
        EXPECT_EQ(Gate::cleanup().value(), 2);
    });
}

TEST(Gate, a_gate_that_does_not_fit_is_not_adopted) {
    HAMR_IN_NAMESPACE([] {
        const Gate gate = open_gate();
        GateHandles other = inherited(gate);
        ++other.build;
        EXPECT_FALSE(Gate::adopt(other, 1));
        EXPECT_FALSE(Gate::adopt(inherited(gate), 2));
        GateHandles nonsense = inherited(gate);
        std::swap(nonsense.groups, nonsense.ether);
        EXPECT_FALSE(Gate::adopt(nonsense, 1));
    });
}

TEST(Gate, without_permission_the_error_names_the_capabilities) {
    HAMR_IN_NAMESPACE([] {
        ASSERT_NO_FATAL_FAILURE(keep_capabilities({}));
        const std::vector<std::vector<IpAddress>> groups{{vip4}};
        const auto gate = Gate::open(groups);
        ASSERT_FALSE(gate);
        EXPECT_THAT(gate.error().message(), HasSubstr("needs CAP_BPF and CAP_NET_ADMIN"));
    });
}

TEST(Gate, cap_bpf_and_cap_net_admin_are_enough) {
    HAMR_IN_NAMESPACE([] {
        ASSERT_NO_FATAL_FAILURE(keep_capabilities({CAP_BPF, CAP_NET_ADMIN}));
        const std::vector<std::vector<IpAddress>> groups{{vip4, vip6}};
        auto gate = Gate::open(groups);
        ASSERT_TRUE(gate) << gate.error().message();
        const auto attached = gate->attach(index_of("near"));
        ASSERT_TRUE(attached) << attached.error().message();
        EXPECT_TRUE(gate->attached(index_of("near")).value());
        EXPECT_EQ(Gate::cleanup().value(), 1);
    });
}

}  // namespace
}  // namespace hamr::vip
