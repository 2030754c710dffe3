// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// Which backends an operator has taken out of service, known to every router host: `hamr backend
// drain` and `undrain`, on whichever node they were given. Pure: orders and what peers say in;
// records out.
//
// Order     Each backend has one record, the newest: the one with the greatest counter; of equal
//           counters the one of the node whose name comes last; of these the one that drains.
//           Whoever gives an order counts one further than everything it has heard. So all who
//           have heard the same records have the same, in whatever order they heard them (rule F20
//           of docs/protocol.md).
// Limits    1,024 records; the oldest go. That keeps the rule above: what is not among the newest
//           1,024 of all that was heard is nowhere.
// Threading none: a value.

namespace hamr::router {

inline constexpr std::size_t max_backend_orders = 1024;
/// Nobody counts so far; what does is damaged.
inline constexpr std::uint64_t max_order_counter = std::uint64_t{1} << 62;
/// As long as a node's name may be.
inline constexpr std::size_t max_order_node = 63;

struct BackendOrder {
    Endpoint backend;
    bool draining = false;  ///< false: it is to be used again
    std::uint64_t counter = 0;
    std::string node;  ///< where the order was given

    friend bool operator==(const BackendOrder&, const BackendOrder&) = default;
};

/// A counter from 1 to the greatest, and a node's name in the letters that names have.
[[nodiscard]] bool is_sound(const BackendOrder& order);
/// Whether `a` counts, and not `b`: both are orders about the same backend.
[[nodiscard]] bool overrules(const BackendOrder& a, const BackendOrder& b);

class BackendOrders {
  public:
    /// `self`: this node's name.
    explicit BackendOrders(std::string self) : self_(std::move(self)) {}

    /// An order given on this node.
    const BackendOrder& give(const Endpoint& backend, bool draining);
    /// What a peer says, or a file. Returns what was news, as it is now.
    std::vector<BackendOrder> merge(const std::vector<BackendOrder>& orders);

    /// The newest order about this backend; nullptr when there never was one.
    [[nodiscard]] const BackendOrder* find(const Endpoint& backend) const;
    [[nodiscard]] bool draining(const Endpoint& backend) const;
    /// By backend.
    [[nodiscard]] std::vector<BackendOrder> all() const;
    [[nodiscard]] std::size_t size() const { return orders_.size(); }

  private:
    bool put(const BackendOrder& order);

    std::string self_;
    std::map<Endpoint, BackendOrder> orders_;
};

// As a file ---------------------------------------------------------------------------------------

[[nodiscard]] std::string render_orders(const std::vector<BackendOrder>& orders);

struct OrdersRead {
    std::vector<BackendOrder> orders;
    /// What is wrong with the text, "line 3 is not understood"; empty when nothing is. What could
    /// be understood is in `orders` all the same.
    std::string problem;
};
[[nodiscard]] OrdersRead parse_orders(std::string_view text);

// As a person names one ---------------------------------------------------------------------------

/// The backends that `text` names: "HOST:PORT", or a host alone, with or without brackets. Empty:
/// none of them; several: a host with several ports.
[[nodiscard]] std::vector<Endpoint> named_backends(std::string_view text,
                                                   const std::vector<Endpoint>& known);

}  // namespace hamr::router
