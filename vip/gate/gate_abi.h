/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate's program in the kernel and its owner in user space agree on. C, for both. */
#ifndef HAMR_VIP_GATE_ABI_H
#define HAMR_VIP_GATE_ABI_H

/* One group's instants, in nanoseconds of CLOCK_BOOTTIME. Zero is shut. */
struct hamr_gate_group {
    unsigned long long until;   /* before this, everything passes */
    unsigned long long forward; /* before this, TCP segments that open no connection pass */
};

/* Indices of the counters. */
enum hamr_gate_counter {
    HAMR_GATE_DROPPED_IPV4,
    HAMR_GATE_DROPPED_IPV6,
    HAMR_GATE_DROPPED_ARP,
    HAMR_GATE_DROPPED_ND,
    HAMR_GATE_FORWARDED, /* passed by `forward` alone */
    HAMR_GATE_COUNTERS,
};

#endif
