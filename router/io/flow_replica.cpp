// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/flow_replica.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <variant>

namespace hamr::router_io {

using router::AddFlows;
using router::FlowAck;
using router::FlowHello;
using router::FlowMessage;
using router::FlowPing;
using router::max_flows_in_message;
using router::RemoveFlows;
using router::SnapshotBegin;
using router::SnapshotEnd;
using router::TakenOver;
using router::TellOrders;

namespace {

constexpr std::size_t most_queued = std::size_t{4} * 1024 * 1024;
constexpr std::size_t snapshot_queued = std::size_t{256} * 1024;
constexpr std::size_t most_unacknowledged = 65'536;
constexpr Duration between_snapshots = std::chrono::seconds(1);

/// In pieces that fit into a message.
template <class Item, class Say>
void in_pieces(const std::vector<Item>& items, std::size_t most, Say say) {
    for (std::size_t from = 0; from < items.size(); from += most) {
        const std::size_t to = std::min(items.size(), from + most);
        say(std::vector<Item>(items.begin() + static_cast<std::ptrdiff_t>(from),
                              items.begin() + static_cast<std::ptrdiff_t>(to)));
    }
}

}  // namespace

FlowReplica::FlowReplica(router::FlowTable& table, FlowStreams& streams, std::size_t node,
                         std::size_t peer, std::uint64_t boot, bool replicas)
    : table_(table),
      streams_(streams),
      node_(node),
      peer_(peer),
      boot_(boot),
      replicas_(replicas) {}

// The connection ----------------------------------------------------------------------------------

void FlowReplica::up(BootTime now) {
    last_sent_ = 0;
    unacknowledged_.clear();
    greeted_ = false;
    hears_orders_ = false;
    in_snapshot_ = false;
    last_heard_ = 0;
    last_acknowledged_ = 0;
    behind_ = false;
    again_ = false;
    unsynced_since_ = now;
    send(FlowHello{router::flow_protocol, boot_});
    send(FlowAck{0});  // this node is of protocol 2
    begin_snapshot(now);
}

void FlowReplica::down(BootTime now) {
    snapshot_.reset();
    unacknowledged_.clear();
    synced_ = false;
    unsynced_since_ = now;
    down_since_ = now;
}

void FlowReplica::tick(BootTime now) {
    if (!streams_.is_up(peer_)) {
        if (!down_since_) down_since_ = now;
        return;
    }
    if ((behind_ || again_) && !snapshot_ && streams_.queued(peer_) == 0 &&
        now - snapshot_at_ >= between_snapshots) {
        behind_ = again_ = false;
        begin_snapshot(now);
    }
    send(FlowPing{last_sent_});
}

void FlowReplica::drained(BootTime now) {
    if (snapshot_) go_on(now);
}

// What is said ------------------------------------------------------------------------------------

void FlowReplica::send(const FlowMessage& message) {
    ++sent_;
    streams_.send(peer_, std::make_shared<const std::vector<std::byte>>(router::encode(message)));
}

void FlowReplica::send_numbered(FlowMessage message, BootTime since) {
    const std::uint64_t sequence = ++last_sent_;
    std::visit(
        [&](auto& numbered) {
            if constexpr (requires { numbered.sequence; }) numbered.sequence = sequence;
        },
        message);
    // Beyond that the oldest still tells the lag.
    if (unacknowledged_.size() < most_unacknowledged) unacknowledged_.push_back({sequence, since});
    send(message);
}

void FlowReplica::begin_snapshot(BootTime now) {
    synced_ = false;
    snapshot_end_ = 0;
    snapshot_at_ = now;
    ++snapshots_;
    snapshot_.emplace(Snapshot{table_.own(), 0});
    send_numbered(SnapshotBegin{0, static_cast<std::uint32_t>(snapshot_->flows.size())}, now);
    go_on(now);
}

void FlowReplica::go_on(BootTime now) {
    Snapshot& snapshot = *snapshot_;
    while (snapshot.next < snapshot.flows.size()) {
        if (streams_.queued(peer_) >= snapshot_queued) return;
        AddFlows message;
        while (snapshot.next < snapshot.flows.size() &&
               message.flows.size() < max_flows_in_message) {
            // What has gone meanwhile is left out.
            auto flow = table_.own(snapshot.flows[snapshot.next++]);
            if (flow) message.flows.push_back(std::move(*flow));
        }
        if (!message.flows.empty()) send_numbered(std::move(message), now);
    }
    snapshot_.reset();
    send_numbered(SnapshotEnd{}, now);
    if (replicas_) tell_taken(led_, now);
    snapshot_end_ = last_sent_;
}

void FlowReplica::lead(std::vector<IpAddress> vips, BootTime now) {
    const bool more = std::any_of(vips.begin(), vips.end(), [&](const IpAddress& vip) {
        return std::find(led_.begin(), led_.end(), vip) == led_.end();
    });
    led_ = std::move(vips);
    if (!more || !streams_.is_up(peer_)) return;
    if (snapshot_ || behind_) {
        again_ = true;
    } else {
        begin_snapshot(now);
    }
}

void FlowReplica::acknowledge() {
    if (last_acknowledged_ == last_heard_ || !streams_.is_up(peer_)) return;
    last_acknowledged_ = last_heard_;
    send(FlowAck{last_heard_});
}

void FlowReplica::tell(const router::FlowChanges& changes, BootTime since) {
    if (!streams_.is_up(peer_)) return;
    if (behind_ || streams_.queued(peer_) > most_queued) {
        if (!behind_) unsynced_since_ = since;
        behind_ = true;
        synced_ = false;
        return;
    }
    in_pieces(changes.removed, max_flows_in_message, [&](std::vector<router::FlowId> piece) {
        send_numbered(RemoveFlows{0, std::move(piece)}, since);
    });
    in_pieces(changes.added, max_flows_in_message, [&](std::vector<router::Flow> piece) {
        send_numbered(AddFlows{0, std::move(piece)}, since);
    });
}

void FlowReplica::tell_taken(const std::vector<IpAddress>& vips, BootTime now) {
    if (!streams_.is_up(peer_) || vips.empty()) return;
    TakenOver message;
    const auto count = std::min(vips.size(), router::max_vips_in_message);
    message.vips.assign(vips.begin(), vips.begin() + static_cast<std::ptrdiff_t>(count));
    send_numbered(std::move(message), now);
}

void FlowReplica::tell_orders(std::vector<router::BackendOrder> orders, bool standing) {
    orders_ = {standing, std::move(orders)};
    say_orders();
}

void FlowReplica::say_orders() {
    if (!streams_.is_up(peer_) || !hears_orders_) return;
    in_pieces(orders_.orders, router::max_orders_in_message,
              [&](std::vector<router::BackendOrder> piece) {
                  send(TellOrders{orders_.standing, std::move(piece)});
              });
}

// What is heard -----------------------------------------------------------------------------------

bool FlowReplica::heard(const FlowMessage& message, std::vector<router::FlowId>& reset,
                        BootTime now) {
    ++received_;
    if (const auto* hello = std::get_if<FlowHello>(&message)) {
        if (greeted_ || hello->protocol > router::newest_flow_protocol) return false;
        greeted_ = true;
        down_since_.reset();
        if (hello->protocol > router::flow_protocol) hear_of_orders();
        return true;
    }
    if (!greeted_) return false;
    if (const auto* ack = std::get_if<FlowAck>(&message)) {
        if (ack->sequence > last_sent_) return false;
        if (ack->sequence == 0) hear_of_orders();
        acknowledged(ack->sequence, now);
        return true;
    }
    if (std::holds_alternative<TellOrders>(message)) return hears_orders_;
    if (const auto* ping = std::get_if<FlowPing>(&message)) return ping->sequence == last_heard_;
    if (router::sequence_of(message) != last_heard_ + 1) return false;
    ++last_heard_;
    if (!numbered(message, reset)) return false;
    if (!replicas_) acknowledge();
    return true;
}

/// The peer is of protocol 2.
void FlowReplica::hear_of_orders() {
    if (std::exchange(hears_orders_, true)) return;
    say_orders();
}

bool FlowReplica::numbered(const FlowMessage& message, std::vector<router::FlowId>& reset) {
    if (std::holds_alternative<SnapshotBegin>(message)) {
        if (std::exchange(in_snapshot_, true)) return false;
        table_.begin(node_);
    } else if (std::holds_alternative<SnapshotEnd>(message)) {
        if (!std::exchange(in_snapshot_, false)) return false;
        table_.end(node_);
    } else if (const auto* add = std::get_if<AddFlows>(&message)) {
        for (const router::Flow& flow : add->flows) {
            if (table_.add(node_, flow)) reset.push_back(flow.id);
        }
    } else if (const auto* remove = std::get_if<RemoveFlows>(&message)) {
        for (const router::FlowId& id : remove->flows) table_.remove(node_, id);
    } else if (const auto* taken = std::get_if<TakenOver>(&message)) {
        table_.taken(node_, taken->vips);
    }
    return true;
}

void FlowReplica::acknowledged(std::uint64_t sequence, BootTime now) {
    while (!unacknowledged_.empty() && unacknowledged_.front().sequence <= sequence) {
        delay_ = now - unacknowledged_.front().since;
        unacknowledged_.pop_front();
    }
    if (!behind_ && snapshot_end_ != 0 && sequence >= snapshot_end_) synced_ = true;
}

void FlowReplica::fill(FlowPeerStatus& status, BootTime now) const {
    status.flows = table_.count(node_);
    status.sent = sent_;
    status.received = received_;
    status.resyncs = snapshots_ > 0 ? snapshots_ - 1 : 0;
    status.delay_ms = to_ms(delay_);
    status.connected = streams_.is_up(peer_) && greeted_;
    // It shows that before anything that is numbered.
    status.orders = hears_orders_      ? OrdersHeard::yes
                    : last_heard_ == 0 ? OrdersHeard::not_known
                                       : OrdersHeard::no;
    if (!streams_.is_up(peer_)) {
        status.state = streams_.connects(peer_) ? "connecting" : "waiting";
        status.reason = streams_.reason(peer_);
    } else {
        status.state = synced_ ? "synced" : "syncing";
    }
    // Who has no flows is not behind with them.
    if (!synced_) {
        const bool any = table_.count(router::FlowTable::self) > 0 && unsynced_since_ != long_ago;
        status.lag_ms = any ? to_ms(now - unsynced_since_) : 0;
    } else if (!unacknowledged_.empty()) {
        status.lag_ms = to_ms(now - unacknowledged_.front().since);
    }
}

}  // namespace hamr::router_io
