// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "vip/io/claim_listener.hpp"
#include "vip/io/netlink.hpp"
#include "vip/io/packet_socket.hpp"
#include "vip/plan.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

// Carries out what the groups' address plans ask for: netlink requests, announcements, reports.
//
// No address is put on an interface before gated() has said that the gate stands there: an address
// without a gate would answer for longer than its lease.
//
// Threading: the pulse loop. Nothing blocks.

namespace hamr::daemon {

class AddressKeeper {
  public:
    struct Events {
        /// The group's addresses are on and have been announced; once per hold().
        std::function<void(std::size_t group)> announced;
        std::function<void(std::size_t group, const vip::Report& report)> report;
        /// readiness() or links() may have changed.
        std::function<void()> changed;
        /// An interface appeared, or its traffic control was changed: the gate must be (again)
        /// there. `stood`: it did, as far as gated() has told.
        std::function<void(vip::InterfaceIndex index, bool stood)> gate_wanted;
        /// A request or timer of the keeper has to run: call update(now).
        std::function<void()> update;
    };

    static Result<std::unique_ptr<AddressKeeper>> open(boost::asio::io_context& io,
                                                       std::vector<vip::PlanConfig> groups,
                                                       Events events);

    void hold(std::size_t group, BootTime now);
    /// An earlier program of this life holds it already: what is there stays.
    void resume(std::size_t group, bool announced, BootTime now);
    void release(std::size_t group);
    void announce(std::size_t group, BootTime now);
    void gated(vip::InterfaceIndex index, bool attached);

    /// Carries out what is due; after every event and at next(). False when there was nothing.
    bool update(BootTime now);
    [[nodiscard]] BootTime next() const { return next_; }

    /// Every group could be held now; else why not.
    [[nodiscard]] vip::Readiness readiness() const;
    /// None of the groups' addresses is on any interface, and nothing is under way.
    [[nodiscard]] bool all_gone() const;
    [[nodiscard]] const vip::Links& links() const { return links_; }
    /// Where the gate stands, as far as gated() has told.
    [[nodiscard]] const std::set<vip::InterfaceIndex>& gated() const { return gated_; }

  private:
    struct Entry {
        vip::Plan plan;
        bool tell_announced = false;
        bool resumed = false;  ///< nobody listens yet where its addresses are
    };

    AddressKeeper(std::vector<vip::PlanConfig> groups, Events events);
    void heard(std::span<const vip::KernelEvent> events);
    void carry_out(std::size_t group, const vip::Action& action);
    void add(std::size_t group, const vip::AddAddress& request);
    void remove(std::size_t group, const vip::RemoveAddress& request);
    void listen(vip::InterfaceIndex index);
    void listen_where_held(Entry& entry);

    boost::asio::io_context* io_ = nullptr;
    Events events_;
    std::vector<Entry> entries_;
    vip::Links links_;
    std::set<vip::InterfaceIndex> gated_;
    std::map<vip::InterfaceIndex, vip::ClaimListener> listeners_;
    std::unique_ptr<vip::Netlink> netlink_;
    std::optional<vip::PacketSocket> packets_;
    std::size_t under_way_ = 0;
    bool changed_ = true;
    BootTime next_ = never;
};

}  // namespace hamr::daemon
