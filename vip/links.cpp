// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/links.hpp"

#include <algorithm>
#include <utility>

namespace hamr::vip {

namespace {

std::string number(InterfaceIndex index) {
    return std::to_string(index.value);
}

struct Describe {
    std::string operator()(const LinkSeen& e) const {
        return "link " + e.name + " (" + number(e.index) + ")" + (e.up ? " up" : " down") +
               (e.carrier ? ", carrier, " : ", no carrier, ") + e.mac.to_string();
    }
    std::string operator()(const LinkGone& e) const { return "link " + number(e.index) + " gone"; }
    std::string operator()(const AddressSeen& e) const {
        return "address " + e.prefix.to_string() + " on " + number(e.index);
    }
    std::string operator()(const AddressGone& e) const {
        return "address " + e.prefix.to_string() + " gone from " + number(e.index);
    }
    std::string operator()(const SnapshotBegin&) const { return "snapshot begins"; }
    std::string operator()(const SnapshotEnd&) const { return "snapshot ends"; }
    std::string operator()(const TrafficControlChanged& e) const {
        return "traffic control changed on " + number(e.index);
    }
};

}  // namespace

std::string to_string(const KernelEvent& event) {
    return std::visit(Describe{}, event);
}

bool Links::Link::has(const IpPrefix& prefix) const {
    return std::find(addresses.begin(), addresses.end(), prefix) != addresses.end();
}

void Links::apply(const KernelEvent& event) {
    std::visit([this](const auto& e) { apply_one(e); }, event);
}

const Links::Link* Links::find(InterfaceIndex index) const {
    const auto it = links_.find(index);
    return it == links_.end() ? nullptr : &it->second;
}

const Links::Link* Links::find(std::string_view name) const {
    const auto it = std::find_if(links_.begin(), links_.end(),
                                 [&](const auto& entry) { return entry.second.seen.name == name; });
    return it == links_.end() ? nullptr : &it->second;
}

bool Links::is_local(const MacAddress& mac) const {
    return std::any_of(links_.begin(), links_.end(),
                       [&](const auto& entry) { return entry.second.seen.mac == mac; });
}

// During a snapshot the old picture stays valid for readers; what is told, and what changes
// meanwhile, goes into both. At the end the new one takes its place.

void Links::apply_one(const LinkSeen& event) {
    links_[event.index].seen = event;
    if (in_snapshot_) told_[event.index].seen = event;
}

void Links::apply_one(const LinkGone& event) {
    links_.erase(event.index);
    told_.erase(event.index);
}

void Links::apply_one(const AddressSeen& event) {
    const auto add = [&](std::map<InterfaceIndex, Link>& picture) {
        const auto it = picture.find(event.index);
        if (it != picture.end() && !it->second.has(event.prefix)) {
            it->second.addresses.push_back(event.prefix);
        }
    };
    add(links_);
    if (in_snapshot_) add(told_);
}

void Links::apply_one(const AddressGone& event) {
    const auto drop = [&](std::map<InterfaceIndex, Link>& picture) {
        const auto it = picture.find(event.index);
        if (it != picture.end()) std::erase(it->second.addresses, event.prefix);
    };
    drop(links_);
    if (in_snapshot_) drop(told_);
}

void Links::apply_one(const SnapshotBegin&) {
    told_.clear();
    in_snapshot_ = true;
}

void Links::apply_one(const SnapshotEnd&) {
    if (!in_snapshot_) return;
    links_ = std::exchange(told_, {});
    in_snapshot_ = false;
    complete_ = true;
}

}  // namespace hamr::vip
