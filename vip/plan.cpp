// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/plan.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace hamr::vip {

namespace {

IpPrefix host_prefix(const IpPrefix& vip) {
    return {vip.address, vip.address.bits()};
}

bool is_vip(const PlanConfig& config, const IpAddress& address) {
    return std::any_of(config.addresses.begin(), config.addresses.end(),
                       [&](const IpPrefix& vip) { return vip.address == address; });
}

/// fe80::/10
bool is_link_local(const IpAddress& address) {
    return !address.is_v4() && address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80;
}

std::string on(const Links::Link& link) {
    return " on " + link.seen.name;
}

}  // namespace

const char* to_string(Notice notice) {
    switch (notice) {
        case Notice::waiting:
            return "waiting";
        case Notice::ready:
            return "ready";
        case Notice::leftover_removed:
            return "leftover_removed";
        case Notice::foreign_added:
            return "foreign_added";
        case Notice::deleted:
            return "deleted";
        case Notice::put_back_delayed:
            return "put_back_delayed";
        case Notice::left_deleted:
            return "left_deleted";
        case Notice::request_failed:
            return "request_failed";
        case Notice::carrier_lost:
            return "carrier_lost";
        case Notice::carrier_back:
            return "carrier_back";
        case Notice::mac_changed:
            return "mac_changed";
        case Notice::foreign_claim:
            return "foreign_claim";
        case Notice::claim_over:
            return "claim_over";
    }
    return "unknown";
}

Result<InterfaceIndex> choose_interface(const Links& links, const PlanConfig& config,
                                        const IpPrefix& vip) {
    if (!config.interface.empty()) {
        if (const auto* link = links.find(config.interface)) return link->seen.index;
        return fail("interface " + config.interface + " is not there yet");
    }
    std::optional<InterfaceIndex> in_network;
    std::optional<InterfaceIndex> of_node;
    int longest = -1;
    for (const auto& [index, link] : links.all()) {
        if (link.seen.loopback) continue;
        for (const IpPrefix& own : link.addresses) {
            if (is_vip(config, own.address)) continue;
            if (own.contains(vip.address) && own.length > longest) {
                longest = own.length;
                in_network = index;
            }
            const auto& mine = config.node_addresses;
            if (!of_node && std::find(mine.begin(), mine.end(), own.address) != mine.end()) {
                of_node = index;
            }
        }
    }
    if (in_network) return *in_network;
    if (of_node) return *of_node;
    return fail("no interface has an address in the network of " + vip.to_string() +
                ", nor an address of this node");
}

IpPrefix placed_prefix(const Links::Link& link, const PlanConfig& config, const IpPrefix& vip) {
    const bool secondary =
        std::any_of(link.addresses.begin(), link.addresses.end(), [&](const IpPrefix& own) {
            return own.length == vip.length && own.contains(vip.address) &&
                   !is_vip(config, own.address);
        });
    return secondary ? vip : host_prefix(vip);
}

Plan::Plan(PlanConfig config) : config_(std::move(config)) {
    HAMR_ASSERT(!config_.addresses.empty());
    slots_.reserve(config_.addresses.size());
    for (const IpPrefix& vip : config_.addresses) slots_.emplace_back(vip, config_.refresh);
}

const Plan::Pending* Plan::Slot::under_way(InterfaceIndex index, const IpPrefix& prefix) const {
    const auto it = std::find_if(pending.rbegin(), pending.rend(), [&](const Pending& p) {
        return p.index == index && p.prefix == prefix;
    });
    return it == pending.rend() ? nullptr : &*it;
}

void Plan::Slot::ended(bool add, InterfaceIndex index, const IpPrefix& prefix) {
    const auto it = std::find_if(pending.begin(), pending.end(), [&](const Pending& p) {
        return p.add == add && p.index == index && p.prefix == prefix;
    });
    if (it != pending.end()) pending.erase(it);
}

void Plan::hold(BootTime now) {
    if (holding_) {
        announce(now);
        return;
    }
    holding_ = true;
    for (Slot& slot : slots_) {
        Slot fresh(slot.vip, config_.refresh);
        fresh.pending = std::move(slot.pending);
        fresh.refusal = std::move(slot.refusal);
        slot = std::move(fresh);
    }
}

void Plan::release() {
    if (!holding_) return;
    holding_ = false;
    for (Slot& slot : slots_) {
        Slot fresh(slot.vip, config_.refresh);
        fresh.pending = std::move(slot.pending);
        fresh.refusal = std::move(slot.refusal);
        fresh.leaving = true;
        slot = std::move(fresh);
    }
}

void Plan::announce(BootTime now) {
    for (Slot& slot : slots_) {
        if (slot.placed) slot.schedule.start(now);
    }
}

Plan::Slot* Plan::find(const IpAddress& address) {
    const auto it = std::find_if(slots_.begin(), slots_.end(),
                                 [&](const Slot& slot) { return slot.vip.address == address; });
    return it == slots_.end() ? nullptr : &*it;
}

void Plan::refused(Slot& slot, const Error& error, BootTime& again, BootTime now) {
    if (slot.retry == first_retry) {
        notes_.push_back(
            {Notice::request_failed, slot.vip.address, error.message() + "; trying again"});
    }
    again = now + slot.retry;
    slot.retry = std::min(slot.retry * 2, longest_retry);
}

void Plan::done(const AddAddress& request, const Result<>& result, BootTime now) {
    Slot* slot = find(request.prefix.address);
    if (slot == nullptr) return;
    slot->ended(true, request.index, request.prefix);
    if (!holding_) return;
    if (result) {
        slot->add_at = now + confirmation;
        return;
    }
    slot->refused_since = std::min(slot->refused_since, now);
    if (now - slot->refused_since >= refusal_patience) {
        slot->refusal = "the kernel refuses " + slot->vip.to_string() + ": " +
                        result.error().message() +
                        " (tried again when this node leads or restarts)";
    }
    refused(*slot, result.error(), slot->add_at, now);
}

void Plan::put_off(const AddAddress& request, const Error& why, BootTime now) {
    Slot* slot = find(request.prefix.address);
    if (slot == nullptr) return;
    slot->ended(true, request.index, request.prefix);
    if (holding_) refused(*slot, why, slot->add_at, now);
}

void Plan::done(const RemoveAddress& request, const Result<>& result, BootTime now) {
    Slot* slot = find(request.prefix.address);
    if (slot == nullptr) return;
    slot->ended(false, request.index, request.prefix);
    if (result) {
        slot->remove_at = now + first_retry;
    } else {
        refused(*slot, result.error(), slot->remove_at, now);
    }
}

void Plan::claim(const Claim& claim, const Links& links, BootTime now) {
    Slot* slot = find(claim.address);
    if (slot == nullptr || !slot->placed || links.is_local(claim.mac)) return;
    if (slot->rival != claim.mac) {
        notes_.push_back({Notice::foreign_claim, claim.address,
                          claim.mac.to_string() + " also answers for " + claim.address.to_string() +
                              " (" + to_string(claim.kind) + ")"});
        slot->rival = claim.mac;
    }
    slot->rival_heard = now;
    if (now - slot->rival_answered >= claim_period) {
        slot->rival_answered = now;
        slot->schedule.start(now);
    }
}

Actions Plan::update(const Links& links, BootTime now) {
    Actions out;
    if (!links.complete()) return out;
    updated_ = now;
    for (Report& report : notes_) out.emplace_back(std::move(report));
    notes_.clear();
    for (Slot& slot : slots_) {
        if (holding_) strive(slot, links, now, out);
        clear_strays(slot, links, now, out);
    }
    settled_ = true;
    return out;
}

bool Plan::wanted(const Slot& slot, const Links& links, InterfaceIndex index,
                  const IpPrefix& prefix) const {
    if (!holding_ || slot.where != index || links.find(index) == nullptr) return false;
    return prefix.length == slot.vip.length || prefix.length == slot.vip.address.bits();
}

/// Removes the address wherever it is not wanted. One that is just being added counts as there,
/// since requests are carried out in order.
void Plan::clear_strays(Slot& slot, const Links& links, BootTime now, Actions& out) const {
    std::vector<std::pair<InterfaceIndex, IpPrefix>> strays;
    for (const Pending& p : slot.pending) {
        if (slot.under_way(p.index, p.prefix)->add && !wanted(slot, links, p.index, p.prefix)) {
            strays.emplace_back(p.index, p.prefix);
        }
    }
    bool seen = false;
    for (const auto& [index, link] : links.all()) {
        for (const IpPrefix& prefix : link.addresses) {
            if (prefix.address != slot.vip.address) continue;
            if (wanted(slot, links, index, prefix)) continue;
            seen = true;
            if (now < slot.remove_at || slot.under_way(index, prefix) != nullptr) continue;
            strays.emplace_back(index, prefix);
            if (slot.leaving) continue;
            const bool added = settled_ && !holding_;
            out.emplace_back(Report{
                added ? Notice::foreign_added : Notice::leftover_removed, slot.vip.address,
                prefix.to_string() + on(link) +
                    (added ? " was added by somebody else; removed" : " was left over; removed")});
        }
    }
    for (const auto& [index, prefix] : strays) {
        slot.pending.push_back({false, index, prefix});
        out.emplace_back(RemoveAddress{index, prefix});
    }
    slot.leaving = seen || !slot.pending.empty();
}

/// A held slot: chooses the interface and waits for it.
void Plan::strive(Slot& slot, const Links& links, BootTime now, Actions& out) const {
    const Links::Link* link = slot.where ? links.find(*slot.where) : nullptr;
    std::string missing_part;
    if (link == nullptr || !slot.placed) {
        const auto chosen = choose_interface(links, config_, slot.vip);
        slot.where.reset();
        if (chosen) {
            slot.where = *chosen;
        } else {
            missing_part = chosen.error().message();
        }
        link = slot.where ? links.find(*slot.where) : nullptr;
    }
    if (link != nullptr && !link->seen.up) {
        missing_part = "interface " + link->seen.name + " is down";
    }
    if (missing_part.empty()) {
        if (!slot.waiting_for.empty()) {
            slot.waiting_for.clear();
            out.emplace_back(Report{Notice::ready, slot.vip.address,
                                    slot.vip.to_string() + " goes" + on(*link)});
        }
        place(slot, *link, now, out);
        return;
    }
    slot.placed.reset();
    slot.schedule.stop();
    if (slot.waiting_for != missing_part) {
        out.emplace_back(Report{Notice::waiting, slot.vip.address,
                                slot.vip.to_string() + " is waiting: " + missing_part});
        slot.waiting_for = std::move(missing_part);
    }
}

/// A held slot whose interface is there and up.
void Plan::place(Slot& slot, const Links::Link& link, BootTime now, Actions& out) const {
    bool unsettled = false;
    for (const int length : {slot.vip.length, slot.vip.address.bits()}) {
        const IpPrefix prefix{slot.vip.address, length};
        const Pending* request = slot.under_way(link.seen.index, prefix);
        if (request != nullptr) {
            unsettled = unsettled || request->add;
        } else if (link.has(prefix)) {
            confirmed(slot, link, prefix, now, out);
            return;
        }
    }
    if (!unsettled) missing(slot, link, now, out);
}

void Plan::confirmed(Slot& slot, const Links::Link& link, const IpPrefix& prefix, BootTime now,
                     Actions& out) const {
    if (!slot.placed) {
        slot.carrier = true;
        slot.mac = link.seen.mac;
        slot.retry = first_retry;
        slot.given_up = false;
        slot.refused_since = never;
        slot.refusal.clear();
        slot.schedule.start(now);
    }
    slot.placed = prefix;
    if (slot.carrier != link.seen.carrier) {
        slot.carrier = link.seen.carrier;
        if (slot.carrier) slot.schedule.start(now);
        out.emplace_back(Report{
            slot.carrier ? Notice::carrier_back : Notice::carrier_lost, slot.vip.address,
            link.seen.name + (slot.carrier ? " has its carrier again" : " has lost its carrier")});
    }
    if (slot.mac != link.seen.mac) {
        out.emplace_back(Report{Notice::mac_changed, slot.vip.address,
                                link.seen.name + " changed its Ethernet address from " +
                                    slot.mac.to_string() + " to " + link.seen.mac.to_string()});
        slot.mac = link.seen.mac;
        slot.schedule.start(now);
    }
    if (slot.rival && now - slot.rival_heard >= claim_over) {
        out.emplace_back(Report{Notice::claim_over, slot.vip.address,
                                slot.rival->to_string() + " no longer answers for " +
                                    slot.vip.address.to_string() + "; announced again"});
        slot.rival.reset();
        slot.schedule.start(now);
    }
    if (slot.schedule.due(now) && slot.carrier) {
        out.emplace_back(Announce{link.seen.index, slot.vip.address, slot.mac});
    }
    if (now >= slot.solicit_at && slot.carrier) solicit(slot, link, now, out);
}

void Plan::solicit(Slot& slot, const Links::Link& link, BootTime now, Actions& out) const {
    slot.solicit_at = now + solicit_period;
    std::optional<IpAddress> source;
    if (slot.vip.address.is_v4()) source = IpAddress::v4({0, 0, 0, 0});
    const auto& mine = config_.node_addresses;
    for (const IpPrefix& own : link.addresses) {
        const IpAddress& address = own.address;
        if (address.family() != slot.vip.address.family() || is_vip(config_, address)) continue;
        const bool of_node = std::find(mine.begin(), mine.end(), address) != mine.end();
        if (of_node || is_link_local(address)) source = address;
        if (of_node) break;
    }
    if (source) {
        out.emplace_back(Solicit{link.seen.index, slot.vip.address, *source, slot.mac});
    }
}

void Plan::missing(Slot& slot, const Links::Link& link, BootTime now, Actions& out) const {
    const auto say = [&](Notice notice, std::string_view consequence) {
        out.emplace_back(Report{notice, slot.vip.address,
                                slot.placed->to_string() + on(link) +
                                    " was deleted by somebody else; " + std::string(consequence)});
    };
    if (slot.placed) {
        constexpr Duration credit = put_back_period * (put_back_burst - 1);
        slot.add_at = std::max(now, slot.put_back_debt - credit);
        if (!config_.put_back) {
            slot.given_up = true;
            say(Notice::left_deleted, "left so, as configured");
        } else if (slot.add_at > now) {
            say(Notice::put_back_delayed, "put back a little later, since it happens too often");
        } else {
            say(Notice::deleted, "put back");
        }
        slot.put_back_debt = std::max(slot.put_back_debt, now) + put_back_period;
        slot.placed.reset();
        slot.schedule.stop();
    }
    if (slot.given_up || now < slot.add_at) return;
    const AddAddress request{link.seen.index, placed_prefix(link, config_, slot.vip)};
    slot.pending.push_back({true, request.index, request.prefix});
    out.emplace_back(request);
}

BootTime Plan::next() const {
    if (!notes_.empty()) return updated_;
    BootTime soonest = never;
    const auto consider = [&](BootTime instant) {
        if (instant > updated_) soonest = std::min(soonest, instant);
    };
    for (const Slot& slot : slots_) {
        consider(slot.remove_at);
        if (!holding_) continue;
        if (slot.placed) {
            soonest = std::min(soonest, slot.schedule.next());
            if (slot.rival) consider(slot.rival_heard + claim_over);
            if (slot.carrier) consider(slot.solicit_at);
        } else {
            consider(slot.add_at);
        }
    }
    return soonest;
}

Readiness Plan::readiness(const Links& links) const {
    if (!links.complete()) return {false, "the kernel has not told of the interfaces yet"};
    for (const Slot& slot : slots_) {
        const auto chosen = slot.placed && slot.where && links.find(*slot.where) != nullptr
                                ? Result<InterfaceIndex>(*slot.where)
                                : choose_interface(links, config_, slot.vip);
        if (!chosen) return {false, chosen.error().message()};
        const LinkSeen& link = links.find(*chosen)->seen;
        if (!link.up) return {false, "interface " + link.name + " is down"};
        if (!link.carrier) return {false, "interface " + link.name + " has no carrier"};
        if (!slot.refusal.empty()) return {false, slot.refusal};
    }
    return {true, {}};
}

bool Plan::established() const {
    return holding_ && std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
               return slot.placed && slot.pending.empty();
           });
}

}  // namespace hamr::vip
