// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/backend_orders.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

namespace hamr::router {

namespace {

constexpr std::string_view heading = "hamr-backends 1";
constexpr std::string_view drains = "drain";
constexpr std::string_view undrains = "undrain";

/// What decides, in this order; the backend only so that no two records are equal.
auto rank(const BackendOrder& order) {
    return std::tuple(order.counter, std::string_view(order.node), order.draining, order.backend);
}

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= max_order_node &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                      c == '-';
           });
}

/// Up to `separator`, which goes too; all of it when there is none.
std::string_view cut_off(std::string_view& text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return piece;
}

std::optional<BackendOrder> parse_order(std::string_view line) {
    BackendOrder order;
    const auto backend = Endpoint::parse(cut_off(line, ' '));
    const std::string_view what = cut_off(line, ' ');
    const std::string_view counter = cut_off(line, ' ');
    if (!backend || (what != drains && what != undrains)) return {};
    order.backend = *backend;
    order.draining = what == drains;
    const char* const last = counter.data() + counter.size();
    const auto [end, error] = std::from_chars(counter.data(), last, order.counter);
    order.node = line;
    if (error != std::errc{} || end != last || !is_sound(order)) return {};
    return order;
}

}  // namespace

bool is_sound(const BackendOrder& order) {
    return order.counter >= 1 && order.counter <= max_order_counter && is_name(order.node);
}

bool overrules(const BackendOrder& a, const BackendOrder& b) {
    return rank(a) > rank(b);
}

const BackendOrder& BackendOrders::give(const Endpoint& backend, bool draining) {
    std::uint64_t counter = 0;
    for (const auto& [of, order] : orders_) counter = std::max(counter, order.counter);
    counter = std::min(counter + 1, max_order_counter);
    put({backend, draining, counter, self_});
    return orders_.at(backend);
}

std::vector<BackendOrder> BackendOrders::merge(const std::vector<BackendOrder>& orders) {
    std::vector<BackendOrder> news;
    for (const BackendOrder& order : orders) {
        if (is_sound(order) && put(order)) news.push_back(order);
    }
    // What a newer one of the same message has taken the place of is none.
    std::erase_if(news, [this](const BackendOrder& order) {
        const BackendOrder* now = find(order.backend);
        return now == nullptr || *now != order;
    });
    return news;
}

/// Whether it counts.
bool BackendOrders::put(const BackendOrder& order) {
    const auto known = orders_.find(order.backend);
    if (known != orders_.end()) {
        if (!overrules(order, known->second)) return false;
        known->second = order;
        return true;
    }
    orders_.emplace(order.backend, order);
    if (orders_.size() <= max_backend_orders) return true;
    const auto oldest = std::min_element(
        orders_.begin(), orders_.end(),
        [](const auto& a, const auto& b) { return rank(a.second) < rank(b.second); });
    const bool stays = oldest->first != order.backend;
    orders_.erase(oldest);
    return stays;
}

const BackendOrder* BackendOrders::find(const Endpoint& backend) const {
    const auto found = orders_.find(backend);
    return found == orders_.end() ? nullptr : &found->second;
}

bool BackendOrders::draining(const Endpoint& backend) const {
    const BackendOrder* const order = find(backend);
    return order != nullptr && order->draining;
}

std::vector<BackendOrder> BackendOrders::all() const {
    std::vector<BackendOrder> all;
    all.reserve(orders_.size());
    for (const auto& [backend, order] : orders_) all.push_back(order);
    return all;
}

// As a file ---------------------------------------------------------------------------------------

std::string render_orders(const std::vector<BackendOrder>& orders) {
    std::string text = std::string(heading) + "\n";
    for (const BackendOrder& order : orders) {
        text += order.backend.to_string() + " " + std::string(order.draining ? drains : undrains) +
                " " + std::to_string(order.counter) + " " + order.node + "\n";
    }
    return text + "end " + std::to_string(orders.size()) + "\n";
}

OrdersRead parse_orders(std::string_view text) {
    OrdersRead read;
    std::size_t number = 0;
    const auto wrong = [&](const std::string& what) {
        if (read.problem.empty()) read.problem = what;
    };
    while (!text.empty()) {
        const std::string_view line = cut_off(text, '\n');
        ++number;
        if (number == 1) {
            if (line == heading) continue;
            wrong("line 1 is not \"" + std::string(heading) + "\"");
        }
        if (line == "end " + std::to_string(read.orders.size()) && text.empty()) return read;
        const auto order = parse_order(line);
        if (!order) {
            wrong("line " + std::to_string(number) + " is not understood");
        } else if (read.orders.size() < max_backend_orders) {
            read.orders.push_back(*order);
        } else {
            wrong("more than " + std::to_string(max_backend_orders) + " lines");
        }
    }
    wrong("its end is missing");
    return read;
}

// As a person names one ---------------------------------------------------------------------------

std::vector<Endpoint> named_backends(std::string_view text, const std::vector<Endpoint>& known) {
    const auto endpoint = Endpoint::parse(text);
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
        text = text.substr(1, text.size() - 2);
    }
    const auto address = IpAddress::parse(text);
    std::vector<Endpoint> named;
    for (const Endpoint& backend : known) {
        if (endpoint ? backend == *endpoint : address && backend.address == *address) {
            named.push_back(backend);
        }
    }
    return named;
}

}  // namespace hamr::router
