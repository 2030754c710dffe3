/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate's program in the kernel and its owner in user space agree on. C, for both. */
#ifndef HAMR_VIP_GATE_ABI_H
#define HAMR_VIP_GATE_ABI_H

/* One group's instants, in nanoseconds of CLOCK_BOOTTIME. Zero is shut. */
struct hamr_gate_group {
    unsigned long long until;   /* before this, everything passes */
    unsigned long long forward; /* before this, TCP segments that open no connection pass */
    unsigned long long resets;  /* not 0: this host's own TCP resets pass with the mark only */
};

/* On a TCP reset that this host's rules have made, or let pass. */
#define HAMR_GATE_RESET_MARK 0x48414d52

/* Indices of the counters. */
enum hamr_gate_counter {
    HAMR_GATE_DROPPED_IPV4,
    HAMR_GATE_DROPPED_IPV6,
    HAMR_GATE_DROPPED_ARP,
    HAMR_GATE_DROPPED_ND,
    HAMR_GATE_FORWARDED, /* passed by `forward` alone */
    HAMR_GATE_DROPPED_RESET,
    HAMR_GATE_COUNTERS,
};

#endif
