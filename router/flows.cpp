// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/flows.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hamr::router {

// Translations and what replicas need are in flow_replicas.cpp.

bool is_open(TcpState state) {
    return state == TcpState::established || state == TcpState::fin_wait ||
           state == TcpState::close_wait;
}

namespace {

constexpr std::size_t most_vips = 65'535;
constexpr std::size_t most_nodes = 254;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t z = (a ^ b) + 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

std::uint64_t word(const std::uint8_t* bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

}  // namespace

std::size_t FlowTable::Hash::operator()(const Key& key) const noexcept {
    const std::uint64_t ports = static_cast<std::uint64_t>(key.client_port) << 32 |
                                static_cast<std::uint64_t>(key.vip_port) << 16 | key.vip;
    return mix(mix(mix(seed, ports), word(key.client.data())), word(key.client.data() + 8));
}

FlowTable::FlowTable(Config config)
    : leads_(config.groups.size(), false),
      settled_(config.groups.size(), false),
      limit_(config.limit),
      replicas_(config.replicas),
      former_(config.nodes),
      entries_(0, Hash{config.seed}),
      counts_(config.nodes + 1, 0),
      rounds_(config.nodes + 1, 0),
      waiting_(0, Hash{config.seed}),
      gone_in_dump_(0, Hash{config.seed}) {
    for (std::size_t group = 0; group < config.groups.size(); ++group) {
        for (const IpAddress& address : config.groups[group]) vips_.push_back({address, group});
    }
    HAMR_ASSERT(vips_.size() <= most_vips);
    HAMR_ASSERT(config.nodes >= 1 && config.nodes <= most_nodes);
}

std::optional<FlowTable::Key> FlowTable::key_of(const FlowId& id) const {
    const auto vip = std::find_if(vips_.begin(), vips_.end(), [&](const Vip& known) {
        return known.address == id.vip.address;
    });
    if (vip == vips_.end() || id.client.address.family() != vip->address.family()) return {};
    Key key;
    key.client = id.client.address.bytes();
    key.client_port = id.client.port;
    key.vip_port = id.vip.port;
    key.vip = static_cast<std::uint16_t>(vip - vips_.begin());
    return key;
}

FlowId FlowTable::id_of(const Key& key) const {
    const IpAddress& vip = vips_[key.vip].address;
    FlowId id{{IpAddress::v6(key.client), key.client_port}, {vip, key.vip_port}};
    if (vip.is_v4()) {
        std::array<std::uint8_t, 4> four{};
        std::copy_n(key.client.begin(), four.size(), four.begin());
        id.client.address = IpAddress::v4(four);
    }
    return id;
}

Flow FlowTable::flow_of(const Key& key, const Entry& entry) const {
    Flow flow{id_of(key), entry.state, {}};
    if (entry.translation) flow.translation = *entry.translation;
    return flow;
}

/// The entry, made if need be, as one of `owner`'s; nullptr when the table is full.
FlowTable::Entry* FlowTable::put(const Key& key, std::size_t owner) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (entries_.size() >= limit_) {
            ++refused_;
            return nullptr;
        }
        Entry& entry = entries_[key];
        entry.owner = static_cast<std::uint8_t>(owner);
        ++counts_[owner];
        return &entry;
    }
    Entry& entry = found->second;
    if (entry.owner != owner) {
        wait_no_more(key, entry);
        --counts_[entry.owner];
        ++counts_[owner];
        entry = Entry{};
        entry.owner = static_cast<std::uint8_t>(owner);
    }
    return &entry;
}

/// Whether that changed anything but how long the kernel would wait.
bool FlowTable::set(Entry& entry, const Flow& flow) {
    bool same_way = !entry.translation && !flow.translation;
    if (entry.translation && flow.translation) {
        entry.translation->timeout_s = flow.translation->timeout_s;
        same_way = *entry.translation == *flow.translation;
    }
    if (entry.state == flow.state && same_way) return false;
    entry.state = flow.state;
    if (same_way) return true;
    entry.translation.reset();
    if (flow.translation) entry.translation = std::make_unique<Translation>(*flow.translation);
    return true;
}

void FlowTable::touch(const Key& key, Entry& entry) {
    if (entry.dirty) return;
    entry.dirty = true;
    dirty_.push_back(key);
}

/// The peers are to forget an own flow, if they know it.
void FlowTable::release(const Key& key, Entry& entry) {
    if (entry.owner == self && entry.told) removed_.push_back(key);
    entry.told = false;
    entry.dirty = false;
}

void FlowTable::drop(Entries::iterator found) {
    const Entry& entry = found->second;
    release(found->first, found->second);
    if (!entry.over && !entry.lost) --counts_[entry.owner];
    if (entry.installed && entry.owner != self) work_.push_back(found->first);
    wait_no_more(found->first, found->second);
    entries_.erase(found);
}

/// The kernel has this own flow no more.
void FlowTable::lose_or_drop(Entries::iterator found) {
    Entry& entry = found->second;
    if (entry.over || leads_vip(found->first)) return drop(found);
    if (entry.lost) return;
    entry.lost = true;
    --counts_[self];
}

// This host's kernel ------------------------------------------------------------------------------

void FlowTable::local(const Flow& flow, Heard heard) {
    if (!is_open(flow.state)) {
        // A flow that has not begun yet is not known either.
        if (heard != Heard::dumped) local_gone(flow.id);
        return;
    }
    const auto key = key_of(flow.id);
    if (!key) return;
    if (replicas_ && !leads_vip(*key)) {
        if (heard == Heard::dumped) look_at_replica(*key, flow);
        return;
    }
    if (heard == Heard::dumped) {
        // The dump may be older than an event that has been heard meanwhile.
        if (gone_in_dump_.contains(*key)) return;
    } else if (dumping_) {
        gone_in_dump_.erase(*key);
    }
    const auto before = entries_.find(*key);
    if (before != entries_.end() && leads_vip(*key) &&
        (before->second.owner != self || before->second.lost)) {
        ++answered_;
    }
    if (before != entries_.end() && before->second.over && heard == Heard::begun) drop(before);
    Entry* entry = put(*key, self);
    if (entry == nullptr) return;
    entry->round = rounds_[self];
    entry->installed = replicas_;
    if (entry->lost) {
        entry->lost = false;
        ++counts_[self];
    }
    const bool changed = set(*entry, flow);
    if (changed && !entry->over) touch(*key, *entry);
}

void FlowTable::local_gone(const FlowId& id) {
    const auto key = key_of(id);
    if (!key) return;
    if (dumping_) gone_in_dump_.insert(*key);
    const auto found = entries_.find(*key);
    if (found != entries_.end() && found->second.owner == self) lose_or_drop(found);
}

void FlowTable::begin_dump() {
    dumping_ = true;
    gone_in_dump_.clear();
    ++rounds_[self];
}

void FlowTable::end_dump() {
    dumping_ = false;
    gone_in_dump_.clear();
    sweep(self);
}

void FlowTable::sweep(std::size_t node) {
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto found = at++;
        if (found->second.owner != node || found->second.round == rounds_[node]) continue;
        // A dump says nothing of what the kernel has not been told yet.
        if (found->second.queued && node == self) continue;
        if (node == self) {
            lose_or_drop(found);
        } else {
            drop(found);
        }
    }
}

// Peers -------------------------------------------------------------------------------------------

void FlowTable::begin(std::size_t node) {
    HAMR_ASSERT(node != self);
    ++rounds_.at(node);
}

bool FlowTable::add(std::size_t node, const Flow& flow) {
    HAMR_ASSERT(node != self);
    const auto key = key_of(flow.id);
    if (!key || !is_open(flow.state)) return false;
    if (replicas_ && flow.translation) return add_replica(node, *key, flow);
    const auto before = entries_.find(*key);
    const bool known = before != entries_.end();
    // An own flow that is over may have begun anew elsewhere.
    if (known && before->second.owner == self) {
        if (!before->second.over && !before->second.lost) return false;
        drop(before);
    }
    const bool was_foreign = known && before->second.owner == node;
    Entry* entry = put(*key, node);
    if (entry == nullptr) return false;
    entry->round = rounds_.at(node);
    set(*entry, flow);
    return !was_foreign && leads_vip(*key);
}

void FlowTable::remove(std::size_t node, const FlowId& id) {
    HAMR_ASSERT(node != self);
    const auto key = key_of(id);
    if (!key) return;
    const auto found = entries_.find(*key);
    if (found != entries_.end() && found->second.owner == node) drop(found);
}

void FlowTable::end(std::size_t node) {
    HAMR_ASSERT(node != self);
    if (!replicas_) sweep(node);
}

void FlowTable::forget(std::size_t node) {
    HAMR_ASSERT(node != self);
    ++rounds_.at(node);
    sweep(node);
}

void FlowTable::taken(std::size_t node, const std::vector<IpAddress>& vips) {
    if (replicas_) return taken_replicas(node, vips);
    const auto named = [&](const Key& key) {
        return std::find(vips.begin(), vips.end(), vips_[key.vip].address) != vips.end();
    };
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto found = at++;
        Entry& entry = found->second;
        if (entry.owner == node || !named(found->first) || leads_vip(found->first)) continue;
        if (entry.owner != self) {
            drop(found);
        } else if (entry.lost) {
            drop(found);
        } else if (!entry.over) {
            release(found->first, entry);
            --counts_[self];
            entry.over = true;
        }
    }
}

// Leadership --------------------------------------------------------------------------------------

bool FlowTable::is_foreign(const Key& key, const Entry& entry, std::size_t group) const {
    return (entry.owner != self || entry.lost) && vips_[key.vip].group == group;
}

std::vector<FlowId> FlowTable::foreign(std::size_t group) const {
    std::vector<FlowId> found;
    for (const auto& [key, entry] : entries_) {
        if (is_foreign(key, entry, group)) found.push_back(id_of(key));
    }
    return found;
}

void FlowTable::drop_foreign(std::size_t group) {
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto found = at++;
        if (is_foreign(found->first, found->second, group)) drop(found);
    }
}

// What peers are to know --------------------------------------------------------------------------

FlowChanges FlowTable::take_changes() {
    FlowChanges changes;
    for (const Key& key : std::exchange(removed_, {})) changes.removed.push_back(id_of(key));
    for (const Key& key : std::exchange(dirty_, {})) {
        const auto found = entries_.find(key);
        if (found == entries_.end()) continue;
        Entry& entry = found->second;
        if (!entry.dirty || entry.owner != self) continue;
        entry.dirty = false;
        entry.told = true;
        changes.added.push_back(flow_of(key, entry));
    }
    return changes;
}

std::vector<FlowId> FlowTable::own() {
    std::vector<FlowId> ids;
    ids.reserve(counts_[self]);
    for (auto& [key, entry] : entries_) {
        if (entry.owner != self || entry.over) continue;
        entry.told = true;
        ids.push_back(id_of(key));
    }
    return ids;
}

std::optional<Flow> FlowTable::own(const FlowId& id) const {
    const auto key = key_of(id);
    if (!key) return {};
    const auto found = entries_.find(*key);
    if (found == entries_.end() || found->second.owner != self || found->second.over) return {};
    return flow_of(*key, found->second);
}

void FlowTable::visit_own(const std::function<void(const Flow&)>& visit) const {
    for (const auto& [key, entry] : entries_) {
        if (entry.owner == self && !entry.over && !entry.lost) visit(flow_of(key, entry));
    }
}

}  // namespace hamr::router
