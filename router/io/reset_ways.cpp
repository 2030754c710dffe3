// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/reset_ways.hpp"

#include <iterator>
#include <utility>

namespace hamr::router_io {

void ResetWays::name(const std::vector<router::Way>& ways, Nft::Done done) {
    std::vector<std::string> texts = router::render_resets(ways);
    if (texts.empty()) return done({});
    Order order;
    order.texts.assign(std::make_move_iterator(texts.begin()),
                       std::make_move_iterator(texts.end()));
    order.done = std::move(done);
    orders_.push_back(std::move(order));
    if (orders_.size() == 1) go_on();
}

void ResetWays::go_on() {
    Order& order = orders_.front();
    std::string text = std::move(order.texts.front());
    order.texts.pop_front();
    nft_.apply(std::move(text), [this](const Result<>& result) {
        Order& named = orders_.front();
        if (!result) named.result = result;
        if (!named.texts.empty()) return go_on();
        const Order over = std::move(named);
        orders_.pop_front();
        if (!orders_.empty()) go_on();
        // Last: it may name more.
        over.done(over.result);
    });
}

}  // namespace hamr::router_io
