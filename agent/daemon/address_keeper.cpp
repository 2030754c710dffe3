// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/address_keeper.hpp"

#include <algorithm>

namespace hamr::daemon {

AddressKeeper::AddressKeeper(std::vector<vip::PlanConfig> groups, Events events)
    : events_(std::move(events)) {
    for (vip::PlanConfig& group : groups) entries_.push_back({vip::Plan(std::move(group))});
}

Result<std::unique_ptr<AddressKeeper>> AddressKeeper::open(boost::asio::io_context& io,
                                                           std::vector<vip::PlanConfig> groups,
                                                           Events events) {
    std::unique_ptr<AddressKeeper> keeper(new AddressKeeper(std::move(groups), std::move(events)));
    keeper->io_ = &io;
    auto packets = vip::PacketSocket::open();
    if (!packets) return tl::unexpected(packets.error());
    keeper->packets_ = std::move(*packets);
    AddressKeeper* self = keeper.get();
    auto netlink = vip::Netlink::open(
        io.get_executor(), [self](std::span<const vip::KernelEvent> batch) { self->heard(batch); });
    if (!netlink) return tl::unexpected(netlink.error());
    keeper->netlink_ = std::move(*netlink);
    return keeper;
}

void AddressKeeper::heard(std::span<const vip::KernelEvent> batch) {
    for (const vip::KernelEvent& event : batch) {
        links_.apply(event);
        if (const auto* link = std::get_if<vip::LinkSeen>(&event)) {
            if (!gated_.contains(link->index)) events_.gate_wanted(link->index, false);
        } else if (const auto* gone = std::get_if<vip::LinkGone>(&event)) {
            gated_.erase(gone->index);
            listeners_.erase(gone->index);
        } else if (const auto* changed = std::get_if<vip::TrafficControlChanged>(&event)) {
            events_.gate_wanted(changed->index, gated_.contains(changed->index));
        }
    }
    changed_ = true;
    events_.update();
    events_.changed();
}

void AddressKeeper::gated(vip::InterfaceIndex index, bool attached) {
    if (attached) {
        gated_.insert(index);
    } else {
        gated_.erase(index);
    }
    changed_ = true;
    events_.changed();
}

void AddressKeeper::hold(std::size_t group, BootTime now) {
    entries_[group].tell_announced = true;
    entries_[group].plan.hold(now);
    changed_ = true;
}

void AddressKeeper::resume(std::size_t group, bool announced, BootTime now) {
    hold(group, now);
    entries_[group].tell_announced = !announced;
    entries_[group].resumed = true;
}

void AddressKeeper::release(std::size_t group) {
    entries_[group].resumed = false;
    entries_[group].tell_announced = false;
    entries_[group].plan.release();
    changed_ = true;
}

void AddressKeeper::announce(std::size_t group, BootTime now) {
    entries_[group].plan.announce(now);
    changed_ = true;
}

bool AddressKeeper::update(BootTime now) {
    if (!changed_ && now < next_) return false;
    changed_ = false;
    for (std::size_t group = 0; group < entries_.size(); ++group) {
        const vip::Actions actions = entries_[group].plan.update(links_, now);
        for (const vip::Action& action : actions) carry_out(group, action);
        Entry& entry = entries_[group];
        if (entry.resumed && entry.plan.established()) listen_where_held(entry);
        if (entry.tell_announced && entry.plan.established()) {
            entry.tell_announced = false;
            events_.announced(group);
        }
    }
    next_ = never;
    for (const Entry& entry : entries_) next_ = std::min(next_, entry.plan.next());
    return true;
}

void AddressKeeper::carry_out(std::size_t group, const vip::Action& action) {
    if (const auto* request = std::get_if<vip::AddAddress>(&action)) {
        add(group, *request);
    } else if (const auto* removal = std::get_if<vip::RemoveAddress>(&action)) {
        remove(group, *removal);
    } else if (const auto* announcement = std::get_if<vip::Announce>(&action)) {
        // What fails here (a shut gate, a full queue) is repeated by the schedule.
        (void)packets_->send(*announcement);
    } else if (const auto* question = std::get_if<vip::Solicit>(&action)) {
        (void)packets_->send(
            question->index,
            vip::solicitation(question->address, question->source, question->mac).view());
    } else {
        events_.report(group, std::get<vip::Report>(action));
    }
}

void AddressKeeper::add(std::size_t group, const vip::AddAddress& request) {
    if (!gated_.contains(request.index)) {
        events_.gate_wanted(request.index, false);
        entries_[group].plan.put_off(request, Error{"the gate does not stand there yet"},
                                     BootClock::now());
        changed_ = true;
        return;
    }
    listen(request.index);
    ++under_way_;
    netlink_->add_address(request.index, request.prefix, [this, group, request](Result<> result) {
        --under_way_;
        changed_ = true;
        entries_[group].plan.done(request, result, BootClock::now());
        events_.update();
        events_.changed();  // a kernel that refuses makes the host unfit, one that obeys fit again
    });
}

void AddressKeeper::remove(std::size_t group, const vip::RemoveAddress& request) {
    ++under_way_;
    netlink_->remove_address(request.index, request.prefix,
                             [this, group, request](Result<> result) {
                                 --under_way_;
                                 changed_ = true;
                                 entries_[group].plan.done(request, result, BootClock::now());
                                 events_.update();
                             });
}

void AddressKeeper::listen_where_held(Entry& entry) {
    entry.resumed = false;
    for (const auto& [index, link] : links_.all()) {
        for (const IpPrefix& there : link.addresses) {
            for (const IpPrefix& ours : entry.plan.config().addresses) {
                if (there.address == ours.address) listen(index);
            }
        }
    }
}

void AddressKeeper::listen(vip::InterfaceIndex index) {
    if (listeners_.contains(index)) return;
    std::vector<IpAddress> addresses;
    for (const Entry& entry : entries_) {
        for (const IpPrefix& prefix : entry.plan.config().addresses) {
            addresses.push_back(prefix.address);
        }
    }
    addresses.resize(std::min(addresses.size(), vip::ClaimListener::most_addresses));
    auto listener = vip::ClaimListener::open(io_->get_executor(), index, addresses,
                                             [this](vip::InterfaceIndex, const vip::Claim& claim) {
                                                 const BootTime now = BootClock::now();
                                                 for (Entry& entry : entries_)
                                                     entry.plan.claim(claim, links_, now);
                                                 changed_ = true;
                                                 events_.update();
                                             });
    // Without it a foreign answerer goes unnoticed; the address is served all the same.
    if (listener) listeners_.emplace(index, std::move(*listener));
}

vip::Readiness AddressKeeper::readiness() const {
    for (const Entry& entry : entries_) {
        if (entry.plan.config().retired) continue;
        vip::Readiness readiness = entry.plan.readiness(links_);
        if (!readiness.ready) return readiness;
        for (const IpPrefix& address : entry.plan.config().addresses) {
            const auto index = vip::choose_interface(links_, entry.plan.config(), address);
            if (!index || gated_.contains(*index)) continue;
            return {false, "the gate does not stand on " + links_.find(*index)->seen.name};
        }
    }
    return {true, {}};
}

bool AddressKeeper::all_gone() const {
    if (under_way_ > 0) return false;
    for (const auto& [index, link] : links_.all()) {
        for (const IpPrefix& there : link.addresses) {
            for (const Entry& entry : entries_) {
                for (const IpPrefix& ours : entry.plan.config().addresses) {
                    if (there.address == ours.address) return false;
                }
            }
        }
    }
    return true;
}

}  // namespace hamr::daemon
