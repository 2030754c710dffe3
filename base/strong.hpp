// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

// A value that cannot be mixed up with another of the same representation.
//   struct TermTag; using Term = Strong<TermTag, std::uint64_t>;

namespace hamr {

template <class Tag, class T>
struct Strong {
    T value{};

    constexpr Strong() = default;
    constexpr explicit Strong(T v) : value(v) {}

    friend constexpr auto operator<=>(const Strong&, const Strong&) = default;
};

}  // namespace hamr

template <class Tag, class T>
struct std::hash<hamr::Strong<Tag, T>> {
    std::size_t operator()(const hamr::Strong<Tag, T>& id) const noexcept {
        return std::hash<T>{}(id.value);
    }
};
