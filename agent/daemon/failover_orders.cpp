// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/failover_orders.hpp"

#include "agent/daemon/failover_words.hpp"
#include "agent/daemon/status_page.hpp"

#include <utility>

namespace hamr::daemon {

FailoverOrders::FailoverOrders(const config::Config& config, Ask ask)
    : config_(config), ask_(std::move(ask)) {}

void FailoverOrders::order(const control::FailoverRequest& request, Leaders leaders,
                           std::function<void(control::FailoverAnswer)> done) {
    if (leaders.empty()) {
        done({control::Outcome::unknown, "no such group", "see `hamr status`", {}});
        return;
    }
    auto order = std::make_shared<Order>();
    order->done = std::move(done);
    order->begun = BootClock::now();
    order->left = leaders.size();
    order->leaders = std::move(leaders);
    const election::NodeId target = request.to ? election::node_id(*request.to) : election::no_node;
    for (const auto& [group, leader] : order->leaders) {
        ask_(group, target, request.force, [this, order, group = group](std::uint32_t id) {
            pending_[id] = {order, group};
        });
    }
}

void FailoverOrders::answered(std::uint32_t id, election::AskResult result,
                              election::NodeId target) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    const Pending pending = found->second;
    pending_.erase(found);
    finish(pending, result, node_name(config_, target));
}

void FailoverOrders::finish(const Pending& pending, election::AskResult result,
                            const std::string& target) {
    Order& order = *pending.order;
    control::FailoverAnswer answer = explain(result, pending.group, target);
    if (answer.outcome == control::Outcome::done) {
        const bool moved = result == election::AskResult::accepted;
        const double ms = moved ? to_ms(BootClock::now() - order.begun) : 0;
        order.answer.moves.push_back({pending.group, order.leaders[pending.group], target, ms});
    } else if (order.answer.outcome == control::Outcome::done) {
        order.answer.outcome = answer.outcome;
        order.answer.message = answer.message;
        order.answer.remedy = answer.remedy;
    }
    if (--order.left > 0) return;
    if (order.answer.outcome == control::Outcome::done) {
        order.answer.message = answer.message;
    } else {
        for (const control::Move& move : order.answer.moves) {
            order.answer.message += "; group " + move.group + ": " + move.to + " leads";
        }
    }
    order.done(order.answer);
}

}  // namespace hamr::daemon
