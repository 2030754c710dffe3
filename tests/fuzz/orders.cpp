// SPDX-License-Identifier: GPL-2.0-or-later
// The file of drained backends: what was read is written so that it reads the same; the records
// that count do not depend on the order in which they were heard (rule F20).
#include "router/backend_orders.hpp"
#include "tests/fuzz/target.hpp"

namespace hamr::fuzz {

namespace {

using namespace hamr::router;

void run(Bytes input) {
    const OrdersRead read = parse_orders(as_text(input));
    HAMR_ASSERT(read.orders.size() <= max_backend_orders);
    HAMR_ASSERT(is_one_line(read.problem));
    HAMR_ASSERT(std::all_of(read.orders.begin(), read.orders.end(), is_sound));
    const OrdersRead again = parse_orders(render_orders(read.orders));
    HAMR_ASSERT(again.problem.empty() && again.orders == read.orders);

    BackendOrders forth("router1");
    BackendOrders back("router2");
    const auto news = forth.merge(read.orders);
    HAMR_ASSERT(news.size() <= read.orders.size() && forth.size() <= max_backend_orders);
    std::vector<BackendOrder> reversed(read.orders.rbegin(), read.orders.rend());
    (void)back.merge(reversed);
    HAMR_ASSERT(forth.all() == back.all());
    HAMR_ASSERT(forth.merge(read.orders).empty());
    if (!read.orders.empty()) {
        const Endpoint backend = read.orders.front().backend;
        HAMR_ASSERT(is_sound(forth.give(backend, true)));
        HAMR_ASSERT(named_backends(backend.to_string(), {backend}).size() == 1);
    }
}

}  // namespace

const Target orders{"orders", run, 4096, 48};

}  // namespace hamr::fuzz
