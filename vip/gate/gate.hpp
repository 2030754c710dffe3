// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/strong.hpp"
#include "vip/links.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

// The gate: a BPF program at tc egress that lets nothing leave as a VIP once its group's lease has
// ended (gate.bpf.c says what that means on the wire).
//
// Contract. open() loads the program with every group shut; attach() puts it on one interface;
// set_until() is the lease: one atomic store into memory that the program reads, no system call.
// The filter outlives this object and the process: it is taken away by detach() or cleanup() only.
// A filter that an earlier process left is replaced in one step, without a moment of no filter. For
// a new set of addresses open a new gate, set its instants, and attach it over the old one.
//
// Threading. set_until(), set_forward(), until() and counters() may be called from any thread; the
// rest from one at a time. attach(), detach(), attached() and cleanup() are synchronous netlink
// requests, which wait for the kernel's RTNL lock: not for the middle of a lease.
//
// Limits. 4096 addresses, 4096 groups. Everything concerns the calling thread's network namespace.
// Filters run in the order of their priority and the gate's is the first, 1; a BPF filter that
// somebody adds later with the same priority, or one on the newer tcx hook, runs before it, and if
// that one accepts or redirects the packet, the gate is not asked. Needs Linux 5.8, CAP_BPF and
// CAP_NET_ADMIN.

namespace hamr::vip {

struct GateGroupTag;
/// A group's position in the list given to open().
using GateGroup = Strong<GateGroupTag, std::uint32_t>;

struct GateCounters {
    std::uint64_t dropped_ipv4 = 0;
    std::uint64_t dropped_ipv6 = 0;
    std::uint64_t dropped_arp = 0;
    std::uint64_t dropped_nd = 0;
    std::uint64_t forwarded = 0;  // passed only because of set_forward()
    std::uint64_t dropped_resets = 0;

    [[nodiscard]] std::uint64_t dropped() const {
        return dropped_ipv4 + dropped_ipv6 + dropped_arp + dropped_nd;
    }
};

/// What the next program of the same process needs to go on with a gate: descriptors that it keeps
/// over exec, and which program in the kernel they belong to.
struct GateHandles {
    int groups = -1;
    int counters = -1;
    int ether = -1;
    int bare = -1;
    std::uint64_t build = 0;
};

class Gate {
  public:
    static constexpr std::uint32_t handle = 0x68616d72;  // "hamr"
    static constexpr std::uint32_t priority = 1;
    static constexpr std::size_t most_addresses = 4096;
    static constexpr std::size_t most_groups = 4096;

    /// `groups[i]` are the addresses of GateGroup{i}; an address belongs to one group only. The
    /// error names what is missing: a permission, a kernel option, a newer kernel.
    static Result<Gate> open(std::span<const std::vector<IpAddress>> groups);
    /// Goes on with a gate that stands: nothing is loaded, and its instants are as they are. Takes
    /// the descriptors over, also when it fails. Refuses one whose program is not the one that this
    /// build would load, or that has another number of groups.
    static Result<Gate> adopt(const GateHandles& handles, std::size_t groups);
    /// Valid for as long as this object; close-on-exec, unless the caller changes that.
    [[nodiscard]] GateHandles handles() const noexcept;
    /// Which program this build loads.
    [[nodiscard]] static std::uint64_t build() noexcept;
    Gate(Gate&&) noexcept;
    Gate& operator=(Gate&&) noexcept;
    ~Gate();

    /// Puts the gate on the interface's egress, or in the place of an earlier one.
    Result<> attach(InterfaceIndex index);
    /// Takes our filter, and clsact when nothing else uses it, off the interface. Absent is
    /// success.
    Result<> detach(InterfaceIndex index);
    /// Whether this very gate is on the interface. False for a leftover of another process.
    [[nodiscard]] Result<bool> attached(InterfaceIndex index) const;

    /// Packets of the group may leave before this instant. `long_ago`, or anything not after the
    /// host's boot, is shut.
    void set_until(GateGroup group, BootTime until) noexcept;
    [[nodiscard]] BootTime until(GateGroup group) const noexcept;
    /// Before this instant, TCP segments of connections that are open already may leave even though
    /// the group is shut. Never ARP, neighbour discovery, new connections, or another protocol.
    void set_forward(GateGroup group, BootTime forward) noexcept;
    [[nodiscard]] BootTime forward(GateGroup group) const noexcept;

    /// Whether TCP resets that this host makes itself leave as the group's addresses only with
    /// `reset_mark` (a packet's mark), open or shut. For a host whose rules translate all
    /// connections to them: without those rules, flushed by somebody, the kernel would end each
    /// with the next packet. Not where sockets have the addresses. Off after open().
    void guard_resets(bool on) noexcept;
    static constexpr std::uint32_t reset_mark = 0x48414d52;

    [[nodiscard]] std::size_t groups() const noexcept;
    /// Since open(), over all interfaces.
    [[nodiscard]] Result<GateCounters> counters() const;

    /// Takes every gate, of whichever process, off every interface. How many there were.
    static Result<int> cleanup();

  private:
    struct State;
    explicit Gate(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace hamr::vip
