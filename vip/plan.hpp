// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "vip/frames.hpp"
#include "vip/links.hpp"
#include "vip/schedule.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

// The addresses of one group: where they must be, and what to do about the difference.
//
// Contract. The caller keeps one `Links` picture and gives the plan what happens: hold(),
// release(), done() for each request that ended, claim() for each foreign frame. After each of
// them, after each change of the picture, and at next(), it calls update() and carries out what is
// returned, in order. update() is level-triggered: it compares what is wanted with what is there,
// so no event is ever decisive, and calling it too often does no harm.
//
// Rules.
//  - Nothing is done before the picture is complete. Then every address of the group that is
//    where it should not be (a leftover, one added by somebody else) is removed, on any interface.
//  - An address goes to the configured interface, else to the one with an address in its network
//    (the longest prefix wins), else to the one with an address of this node. While it is held it
//    stays where it was put, as long as that interface exists.
//  - It is added with its configured length when the interface has another address in that very
//    network (the kernel makes it a secondary one and never picks it as a source), else as a host
//    address (/32, /128), which brings no route along that would name it as a source.
//  - It is announced only when the kernel has confirmed it, and when the carrier is there.
//  - A held address that disappears from an interface that is up was deleted by somebody else: it
//  is
//    put back, `put_back_burst` times at once and then once per `put_back_period`.
//  - An address that the kernel has refused for `refusal_patience` makes the host not ready, also
//    after release(), until the kernel takes it or the agent starts anew: else a host that cannot
//    hold the address would lead for ever, or be given the lead again and again.
//  - Another host that claims a held address is reported with its Ethernet address, and ours is
//    announced again (RFC 5227 section 2.4, at most once per `claim_period`), and once more when
//    nothing has been heard from it for `claim_over`. Whoever answers others only is found by
//    asking for the held address every `solicit_period`, from an address of this node (IPv6: else
//    from the link-local one; IPv4: else as an RFC 5227 probe).
// Threading: none; a plain object. Pure: no clock, no I/O.

namespace hamr::vip {

struct PlanConfig {
    std::vector<IpPrefix> addresses;
    std::string interface {};                 // empty: found by address
    std::vector<IpAddress> node_addresses{};  // this node's own, for finding the interface
    Duration refresh = AnnounceSchedule::default_refresh;
    bool put_back = true;  // false: a deliberate removal stands until the next hold()
    bool retired = false;  // never held again: only to be removed where it is left
};

struct AddAddress {
    InterfaceIndex index;
    IpPrefix prefix;
    friend bool operator==(const AddAddress&, const AddAddress&) = default;
};

struct RemoveAddress {
    InterfaceIndex index;
    IpPrefix prefix;
    friend bool operator==(const RemoveAddress&, const RemoveAddress&) = default;
};

/// Send announcement(address, mac) on this interface, now.
struct Announce {
    InterfaceIndex index;
    IpAddress address;
    MacAddress mac;
    friend bool operator==(const Announce&, const Announce&) = default;
};

/// Send solicitation(address, source, mac) on this interface, now: who else answers shows up as a
/// claim.
struct Solicit {
    InterfaceIndex index;
    IpAddress address;
    IpAddress source;
    MacAddress mac;
    friend bool operator==(const Solicit&, const Solicit&) = default;
};

enum class Notice {
    waiting,           // no interface to put the address on, or it is down
    ready,             // what was waited for has come
    leftover_removed,  // found at the start, or not ours to hold
    foreign_added,     // somebody else added it while this node does not hold it
    deleted,           // somebody else deleted it
    put_back_delayed,  // deleted too often
    left_deleted,      // deleted, and the policy says so be it
    request_failed,    // the kernel refused
    carrier_lost,
    carrier_back,
    mac_changed,
    foreign_claim,  // another host answers for it
    claim_over,
};
[[nodiscard]] const char* to_string(Notice notice);

/// Something a person should know. `text` is a sentence with the address, interface and reason.
struct Report {
    Notice notice = Notice::waiting;
    IpAddress address;
    std::string text;
};

using Action = std::variant<AddAddress, RemoveAddress, Announce, Solicit, Report>;
using Actions = std::vector<Action>;

/// Whether this host could hold the group's addresses now, and if not, why.
struct Readiness {
    bool ready = false;
    std::string reason;
};

/// Where an address should go, by the rules above; an error says what is waited for.
[[nodiscard]] Result<InterfaceIndex> choose_interface(const Links& links, const PlanConfig& config,
                                                      const IpPrefix& vip);

/// The length with which `vip` should be added on `link`, by the rules above. `config.addresses` do
/// not count as the host's own.
[[nodiscard]] IpPrefix placed_prefix(const Links::Link& link, const PlanConfig& config,
                                     const IpPrefix& vip);

class Plan {
  public:
    static constexpr int put_back_burst = 5;
    static constexpr Duration put_back_period = std::chrono::seconds{1};
    static constexpr Duration claim_period = std::chrono::seconds{1};
    static constexpr Duration claim_over = std::chrono::seconds{7};
    static constexpr Duration solicit_period = std::chrono::seconds{5};
    static constexpr Duration first_retry = std::chrono::milliseconds{10};
    static constexpr Duration longest_retry = std::chrono::seconds{1};
    static constexpr Duration refusal_patience = std::chrono::seconds{1};
    /// How long an acknowledged request may take to show (IPv6 addresses come by a kernel worker).
    static constexpr Duration confirmation = std::chrono::milliseconds{250};

    explicit Plan(PlanConfig config);

    /// This node leads: the addresses are wanted. Announces again when it held them already.
    void hold(BootTime now);
    /// This node leads no longer: they are wanted nowhere.
    void release();
    /// Begins the announcements anew (a conflict was resolved, a partition healed).
    void announce(BootTime now);

    /// A request of update() has ended.
    void done(const AddAddress& request, const Result<>& result, BootTime now);
    void done(const RemoveAddress& request, const Result<>& result, BootTime now);
    /// A request was not given to the kernel, for a reason that has nothing to do with it.
    void put_off(const AddAddress& request, const Error& why, BootTime now);

    /// A frame heard on the network. Ignored when its address is not of this group, is not held, or
    /// its Ethernet address is this host's own.
    void claim(const Claim& claim, const Links& links, BootTime now);

    [[nodiscard]] Actions update(const Links& links, BootTime now);

    /// When update() must be called even if nothing happens; `never` when there is nothing to do.
    [[nodiscard]] BootTime next() const;

    [[nodiscard]] Readiness readiness(const Links& links) const;
    [[nodiscard]] bool holding() const { return holding_; }
    /// Whether every address is held and confirmed by the kernel.
    [[nodiscard]] bool established() const;
    [[nodiscard]] const PlanConfig& config() const { return config_; }

  private:
    struct Pending {
        bool add = false;
        InterfaceIndex index;
        IpPrefix prefix;
    };

    /// One address of the group.
    struct Slot {
        Slot(const IpPrefix& prefix, Duration refresh) : vip(prefix), schedule(refresh) {}

        IpPrefix vip;
        AnnounceSchedule schedule;
        std::vector<Pending> pending;         // requests on their way, oldest first
        std::optional<InterfaceIndex> where;  // chosen; kept while the address is placed
        std::optional<IpPrefix> placed;       // confirmed by the kernel there
        bool leaving = false;                 // its removal is known, do not report it again
        bool given_up = false;                // deleted, and put_back is off
        std::string waiting_for;              // as last reported; empty when not waiting
        bool carrier = true;                  // as last reported
        MacAddress mac;                       // as last announced
        BootTime add_at = long_ago;           // no request to add before this
        BootTime remove_at = long_ago;        // no request to remove before this
        Duration retry = first_retry;
        BootTime refused_since = never;     // by the kernel, without an end
        std::string refusal;                // its words, once that has lasted for too long
        BootTime solicit_at = long_ago;     // no question before this
        BootTime put_back_debt = long_ago;  // when the put-backs so far are paid for
        std::optional<MacAddress> rival;
        BootTime rival_heard = long_ago;
        BootTime rival_answered = long_ago;

        /// The newest request under way for this address there, or null.
        [[nodiscard]] const Pending* under_way(InterfaceIndex index, const IpPrefix& prefix) const;
        void ended(bool add, InterfaceIndex index, const IpPrefix& prefix);
    };

    [[nodiscard]] bool wanted(const Slot& slot, const Links& links, InterfaceIndex index,
                              const IpPrefix& prefix) const;
    void clear_strays(Slot& slot, const Links& links, BootTime now, Actions& out) const;
    void strive(Slot& slot, const Links& links, BootTime now, Actions& out) const;
    void place(Slot& slot, const Links::Link& link, BootTime now, Actions& out) const;
    void confirmed(Slot& slot, const Links::Link& link, const IpPrefix& prefix, BootTime now,
                   Actions& out) const;
    void solicit(Slot& slot, const Links::Link& link, BootTime now, Actions& out) const;
    void missing(Slot& slot, const Links::Link& link, BootTime now, Actions& out) const;
    void refused(Slot& slot, const Error& error, BootTime& again, BootTime now);
    Slot* find(const IpAddress& address);

    PlanConfig config_;
    std::vector<Slot> slots_;
    bool holding_ = false;
    bool settled_ = false;  // update() has seen a complete picture before
    BootTime updated_ = long_ago;
    std::vector<Report> notes_;  // said by done() and claim(), handed out by update()
};

}  // namespace hamr::vip
