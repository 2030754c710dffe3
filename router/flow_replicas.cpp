// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flows.hpp"

#include <algorithm>

// The part of the table that is about what this host's kernel is to have of others' flows.

namespace hamr::router {

namespace {

bool same_tuples(const Translation& a, const Translation& b) {
    return a.backend == b.backend && a.source == b.source;
}

}  // namespace

/// Another owner; what the kernel has stays as it is.
void FlowTable::adopt(Entry& entry, std::size_t owner) {
    if (!entry.over && !entry.lost) --counts_[entry.owner];
    ++counts_[owner];
    entry.owner = static_cast<std::uint8_t>(owner);
    entry.dirty = entry.told = entry.over = entry.lost = false;
    entry.round = rounds_[owner];
}

void FlowTable::queue(const Key& key, Entry& entry) {
    if (entry.queued) return;
    entry.queued = true;
    work_.push_back(key);
}

void FlowTable::lead(std::size_t group, bool leads) {
    if (leads_.at(group) == leads) return;
    leads_[group] = leads;
    if (!replicas_) return;
    settled_[group] = false;
    for (auto& [key, entry] : entries_) {
        if (vips_[key.vip].group != group) continue;
        if (leads && entry.owner != self && entry.translation && !entry.waits) {
            adopt(entry, self);
        } else if (!leads && entry.owner == self) {
            adopt(entry, former_);
        }
    }
}

/// What a leader says of its own; or, where this node leads itself, a former leader's last words.
bool FlowTable::add_replica(std::size_t node, const Key& key, const Flow& flow) {
    const bool led = leads_vip(key);
    const std::size_t owner = led ? self : node;
    const auto before = entries_.find(key);
    Entry* entry = nullptr;
    if (before != entries_.end()) {
        entry = &before->second;
        // This kernel knows better.
        if (entry->owner == self && led) return false;
        if (entry->owner != owner) adopt(*entry, owner);
        const bool replaced =
            entry->translation && !same_tuples(*entry->translation, *flow.translation);
        if (replaced) entry->installed = false;
    } else {
        entry = put(key, owner);
        if (entry == nullptr) return false;
    }
    entry->round = rounds_[owner];
    const bool changed = set(*entry, flow);
    if (led) touch(key, *entry);
    if (changed || !entry->installed) queue(key, *entry);
    return false;
}

/// An entry of this kernel for an address that another node leads, or nobody.
void FlowTable::look_at_replica(const Key& key, const Flow& flow) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (settled_[vips_[key.vip].group]) work_.push_back(key);
        return;
    }
    Entry& entry = found->second;
    if (!entry.translation || entry.queued) return;
    entry.installed = flow.translation && same_tuples(*entry.translation, *flow.translation);
    if (!entry.installed) queue(key, entry);
}

void FlowTable::taken_replicas(std::size_t node, const std::vector<IpAddress>& vips) {
    const auto named = [&](const IpAddress& address) {
        return std::find(vips.begin(), vips.end(), address) != vips.end();
    };
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto found = at++;
        const Entry& entry = found->second;
        if (leads_vip(found->first) || !named(vips_[found->first.vip].address)) continue;
        if (entry.owner != node || entry.round != rounds_.at(node)) drop(found);
    }
    for (const Vip& vip : vips_) {
        if (named(vip.address) && !leads_[vip.group]) settled_[vip.group] = true;
    }
}

std::vector<KernelWork> FlowTable::take_kernel_work(std::size_t most) {
    std::vector<KernelWork> work;
    while (!work_.empty() && work.size() < most) {
        const Key key = work_.front();
        work_.pop_front();
        const auto found = entries_.find(key);
        if (found == entries_.end()) {
            // What is there now is this node's own, and its own kernel knows best.
            if (!leads_vip(key)) work.push_back({id_of(key)});
            continue;
        }
        Entry& entry = found->second;
        const bool own = entry.owner == self;
        if (!entry.queued) continue;
        entry.queued = false;
        if (!entry.translation || (own && entry.installed)) continue;
        work.push_back({id_of(key), flow_of(key, entry), entry.installed, own});
        entry.installed = true;
        wait_no_more(key, entry);
    }
    return work;
}

void FlowTable::not_installed(const FlowId& id, bool again) {
    const auto key = key_of(id);
    if (!key) return;
    const auto found = entries_.find(*key);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    // Nobody can go on with it: its client is foreign now.
    if (entry.owner == self) {
        release(found->first, entry);
        adopt(entry, former_);
    }
    entry.installed = false;
    if (again && !leads_vip(*key)) {
        entry.waits = true;
        waiting_.insert(*key);
    } else {
        entry.translation.reset();
    }
}

void FlowTable::wait_no_more(const Key& key, Entry& entry) {
    if (entry.waits) waiting_.erase(key);
    entry.waits = false;
}

void FlowTable::retry_refused(std::size_t most) {
    for (auto at = waiting_.begin(); most > 0 && at != waiting_.end(); --most) {
        const Key key = *at++;
        Entry& entry = entries_.find(key)->second;
        if (!leads_vip(key)) {
            queue(key, entry);
            continue;
        }
        // Its client is being reset.
        wait_no_more(key, entry);
        entry.translation.reset();
    }
}

void FlowTable::refresh_replicas() {
    for (auto& [key, entry] : entries_) {
        if (entry.owner != self && entry.translation) queue(key, entry);
    }
}

std::size_t FlowTable::installed() const {
    const auto count = std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
        return entry.second.installed && entry.second.owner != self;
    });
    return static_cast<std::size_t>(count);
}

std::map<Endpoint, std::size_t> FlowTable::by_backend() const {
    std::map<Endpoint, std::size_t> counts;
    for (const auto& [key, entry] : entries_) {
        if (entry.translation && !entry.over && !entry.lost) ++counts[entry.translation->backend];
    }
    return counts;
}

}  // namespace hamr::router
