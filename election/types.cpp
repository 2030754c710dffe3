// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/types.hpp"

namespace hamr::election {

namespace {

constexpr std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3ULL;
    }
    return hash;
}

// Folded, not cut: the low bits alone of FNV-1a mix badly for short names.
constexpr std::uint32_t folded(std::string_view text) {
    const std::uint64_t hash = fnv1a(text);
    const auto value = static_cast<std::uint32_t>(hash ^ (hash >> 32));
    return value == 0 ? 1 : value;
}

}  // namespace

NodeId node_id(std::string_view name) {
    return NodeId{folded(name)};
}
GroupId group_id(std::string_view name) {
    return GroupId{folded(name)};
}
ClusterId cluster_id(std::string_view name) {
    return ClusterId{fnv1a(name)};
}

std::string_view to_string(DropReason reason) {
    switch (reason) {
        case DropReason::malformed:
            return "malformed";
        case DropReason::wrong_cluster:
            return "wrong_cluster";
        case DropReason::unknown_node:
            return "unknown_node";
        case DropReason::bad_signature:
            return "bad_signature";
        case DropReason::replayed:
            return "replayed";
    }
    return "unknown";
}

std::string_view to_string(Mode mode) {
    return mode == Mode::none ? "none" : "majority";
}

}  // namespace hamr::election
