// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gate: at tc egress, drops what leaves the host as a VIP unless its group's lease still runs.
 *
 *   IPv4, IPv6   source is a VIP
 *   ARP          sender protocol address is a VIP, whatever the operation
 *   ND           neighbour advertisement whose target is a VIP (its source may be another address)
 *
 * And, where asked to, TCP resets that this host has made by itself, also while the lease runs: the
 * kernel answers so to whatever belongs to no socket, which is every connection through the host
 * once somebody has flushed the rules that translate it.
 *
 * The lease is an absolute instant of CLOCK_BOOTTIME in an mmap()ed map: its owner renews it with
 * one store, and when the owner is dead, stopped or hung, the instant passes all the same.
 *
 * Two entry points: hamr_gate_ether for devices whose frames start with an Ethernet header (lo
 * included), reading offsets from the frame's start, so that what an AF_PACKET socket wrote is
 * judged by its bytes and not by what it says it is; hamr_gate_bare for devices without (tun,
 * wireguard, tunnels).
 * "Pass" is TC_ACT_UNSPEC: filters behind this one still have their say.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "vip/gate/gate_abi.h"

#define PASS TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSION_HEADERS 6
#define ND_ADVERTISEMENT 136
#define IP6_HOP_BY_HOP 0
#define IP6_ROUTING 43
#define IP6_FRAGMENT 44
#define IP6_ICMP 58
#define IP6_NO_NEXT 59
#define IP6_DESTINATION 60
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct ip6_address {
    __u8 bytes[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* the owner sets it before loading */
    __type(key, __u32);
    __type(value, __u32);
} vip4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct ip6_address);
    __type(value, __u32);
} vip6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hamr_gate_group);
} groups SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HAMR_GATE_COUNTERS);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

/* Where to read: from the frame's start, or from the network header. */
struct reader {
    struct __sk_buff *skb;
    bool bare;
};

static __always_inline bool load(const struct reader *r, __u32 offset, void *to, __u32 size)
{
    if (r->bare)
        return bpf_skb_load_bytes_relative(r->skb, offset, to, size, BPF_HDR_START_NET) == 0;
    return bpf_skb_load_bytes(r->skb, offset, to, size) == 0;
}

static __always_inline void count(__u32 which)
{
    __u64 *value = bpf_map_lookup_elem(&counters, &which);
    if (value) *value += 1;
}

static __always_inline int drop(__u32 which)
{
    count(which);
    return DROP;
}

static __always_inline bool runs(__u32 index, bool forward)
{
    struct hamr_gate_group *group = bpf_map_lookup_elem(&groups, &index);
    if (!group) return false;
    volatile unsigned long long *instant = forward ? &group->forward : &group->until;
    return bpf_ktime_get_boot_ns() < *instant;
}

/* Whether there is a TCP header at `offset` and its segment belongs to a connection through this
 * host: it opens none, and is no reset of the host's own, which may refuse a new one. */
static __always_inline bool of_open_connection(const struct reader *r, __u32 offset)
{
    __u8 flags;
    if (!load(r, offset + 13, &flags, 1)) return false;
    if ((flags & TCP_RST) && r->skb->ingress_ifindex == 0) return false;
    return (flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}

/* A TCP reset that neither came from elsewhere nor was meant. */
static __always_inline bool stray_reset(const struct reader *r, __u32 offset, __u32 index)
{
    __u8 flags;
    if (r->skb->ingress_ifindex != 0 || r->skb->mark == HAMR_GATE_RESET_MARK) return false;
    struct hamr_gate_group *group = bpf_map_lookup_elem(&groups, &index);
    if (!group || !*(volatile unsigned long long *)&group->resets) return false;
    return load(r, offset + 13, &flags, 1) && (flags & TCP_RST);
}

static __always_inline int judge_ip4(const struct reader *r, __u32 offset)
{
    struct {
        __u8 version_and_length;
        __u8 service;
        __be16 length;
        __be16 id;
        __be16 fragment;
        __u8 ttl;
        __u8 protocol;
        __be16 checksum;
        __u32 source;
    } ip;
    if (!load(r, offset, &ip, sizeof(ip))) return PASS;
    __u32 *index = bpf_map_lookup_elem(&vip4, &ip.source);
    if (!index) return PASS;
    __u32 upper = offset + (ip.version_and_length & 0x0f) * 4;
    bool tcp = ip.protocol == IPPROTO_TCP && !(ip.fragment & bpf_htons(0x1fff));
    if (tcp && stray_reset(r, upper, *index)) return drop(HAMR_GATE_DROPPED_RESET);
    if (runs(*index, false)) return PASS;
    if (tcp && runs(*index, true) && of_open_connection(r, upper)) {
        count(HAMR_GATE_FORWARDED);
        return PASS;
    }
    return drop(HAMR_GATE_DROPPED_IPV4);
}

static __always_inline bool is_extension(__u8 next)
{
    return next == IP6_HOP_BY_HOP || next == IP6_ROUTING || next == IP6_DESTINATION ||
           next == IP6_FRAGMENT;
}

/* Walks extension headers, a bounded number: the offset and kind of what is behind them. */
static __always_inline __u8 upper_layer(const struct reader *r, __u32 *offset, __u8 next)
{
#pragma unroll
    for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
        __u8 header[4];
        if (!is_extension(next)) break;
        if (!load(r, *offset, header, sizeof(header))) return IP6_NO_NEXT;
        if (next == IP6_FRAGMENT) {
            if (header[2] || (header[3] & 0xf8)) return IP6_NO_NEXT; /* not the first one */
            *offset += 8;
        } else {
            *offset += (header[1] + 1) * 8;
        }
        next = header[0];
    }
    return next;
}

static __always_inline int judge_ip6(const struct reader *r, __u32 offset)
{
    struct {
        __u32 flow;
        __be16 length;
        __u8 next;
        __u8 hops;
        struct ip6_address source;
    } ip;
    if (!load(r, offset, &ip, sizeof(ip))) return PASS;
    __u32 upper = offset + 40;
    __u32 *index = bpf_map_lookup_elem(&vip6, &ip.source);
    if (index) {
        bool open = runs(*index, false);
        /* The kernel's resets have no extension headers. */
        if (open && ip.next != IPPROTO_TCP) return PASS;
        __u8 next = upper_layer(r, &upper, ip.next);
        if (next == IPPROTO_TCP && stray_reset(r, upper, *index))
            return drop(HAMR_GATE_DROPPED_RESET);
        if (open) return PASS;
        if (next == IPPROTO_TCP && runs(*index, true) && of_open_connection(r, upper)) {
            count(HAMR_GATE_FORWARDED);
            return PASS;
        }
        return drop(HAMR_GATE_DROPPED_IPV6);
    }
    if (ip.next != IP6_ICMP && !is_extension(ip.next)) return PASS;
    if (upper_layer(r, &upper, ip.next) != IP6_ICMP) return PASS;
    struct {
        __u8 type;
        __u8 code;
        __be16 checksum;
        __u32 flags;
        struct ip6_address target;
    } nd;
    if (!load(r, upper, &nd, sizeof(nd)) || nd.type != ND_ADVERTISEMENT) return PASS;
    index = bpf_map_lookup_elem(&vip6, &nd.target);
    if (!index || runs(*index, false)) return PASS;
    return drop(HAMR_GATE_DROPPED_ND);
}

static __always_inline int judge_arp(const struct reader *r, __u32 offset)
{
    struct {
        __be16 hardware;
        __be16 protocol;
        __u8 hardware_size;
        __u8 protocol_size;
        __be16 operation;
    } arp;
    __u32 sender;
    if (!load(r, offset, &arp, sizeof(arp))) return PASS;
    if (arp.protocol != bpf_htons(ETH_P_IP) || arp.protocol_size != 4) return PASS;
    if (!load(r, offset + sizeof(arp) + arp.hardware_size, &sender, sizeof(sender))) return PASS;
    __u32 *index = bpf_map_lookup_elem(&vip4, &sender);
    if (!index || runs(*index, false)) return PASS;
    return drop(HAMR_GATE_DROPPED_ARP);
}

static __always_inline int judge(const struct reader *r, __be16 protocol, __u32 offset)
{
    if (protocol == bpf_htons(ETH_P_IP)) return judge_ip4(r, offset);
    if (protocol == bpf_htons(ETH_P_IPV6)) return judge_ip6(r, offset);
    if (protocol == bpf_htons(ETH_P_ARP)) return judge_arp(r, offset);
    return PASS;
}

static __always_inline bool is_tag(__be16 protocol)
{
    return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

SEC("tc")
int hamr_gate_ether(struct __sk_buff *skb)
{
    struct reader r = {.skb = skb, .bare = false};
    __u32 offset = 12;
    __be16 protocol;
    if (!load(&r, offset, &protocol, sizeof(protocol))) return PASS;
#pragma unroll
    for (int i = 0; i < MAX_VLAN_TAGS; i++) {
        if (!is_tag(protocol)) break;
        offset += 4;
        if (!load(&r, offset, &protocol, sizeof(protocol))) return PASS;
    }
    return judge(&r, protocol, offset + 2);
}

SEC("tc")
int hamr_gate_bare(struct __sk_buff *skb)
{
    struct reader r = {.skb = skb, .bare = true};
    return judge(&r, (__be16)skb->protocol, 0);
}

char LICENSE[] SEC("license") = "GPL";
