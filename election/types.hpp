// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/clock.hpp"
#include "base/strong.hpp"

#include <cstdint>
#include <string_view>

// The vocabulary of the election: ids, terms, timers, roles.

namespace hamr::election {

/// 64-bit hash of the cluster's name; frames of another cluster are dropped.
using ClusterId = Strong<struct ClusterIdTag, std::uint64_t>;
/// 32-bit hash of a node's name; 0 is "no node". The configuration refuses collisions.
using NodeId = Strong<struct NodeIdTag, std::uint32_t>;
/// 32-bit hash of a group's name.
using GroupId = Strong<struct GroupIdTag, std::uint32_t>;
/// Drawn at random when an agent starts, never 0: tells one life of a node from the next.
using BootId = Strong<struct BootIdTag, std::uint64_t>;
/// Counts the frames of one boot, from 1. 0 is "none".
using Sequence = Strong<struct SequenceTag, std::uint64_t>;
/// Counts leaderships of a group. 0 is "none".
using Term = Strong<struct TermTag, std::uint64_t>;
/// The last term that there is (rule W11). Nobody gets there by counting; a frame that says more is
/// nonsense, and must not make the terms of all run over.
inline constexpr Term last_term{(std::uint64_t{1} << 48) - 1};
/// Counts the changes of a node's demotion within one boot.
using HealthEpoch = Strong<struct HealthEpochTag, std::uint32_t>;

inline constexpr NodeId no_node{0};

/// Paths between two nodes are numbered below this; the last one is "from no configured address".
inline constexpr int max_paths = 32;
inline constexpr int unknown_path = max_paths - 1;

/// FNV-1a; stable across versions and machines, since frames carry it. Never 0.
[[nodiscard]] NodeId node_id(std::string_view name);
[[nodiscard]] GroupId group_id(std::string_view name);
[[nodiscard]] ClusterId cluster_id(std::string_view name);

enum class Mode : std::uint8_t {
    none = 0,      ///< availability first: silence is enough
    majority = 1,  ///< leadership is a lease from a majority
};

enum class NodeRole : std::uint8_t { router, witness };

/// I and M of docs/protocol.md.
struct Timing {
    Duration interval{};  ///< I: 2 ms – 1 s
    int misses = 3;       ///< M: 2 – 20

    /// D = I·M, what a promise lasts; at most 3 s.
    [[nodiscard]] constexpr Duration lease() const { return interval * misses; }

    template <class Archive>
    void archive(Archive& kept) {
        kept(interval, misses);
    }

    friend bool operator==(const Timing&, const Timing&) = default;
};

/// The longest lease that any configuration may ask, and so how long a restarted voter keeps still.
inline constexpr Duration longest_lease = std::chrono::seconds{3};

/// D·(1−ρ) with ρ = 20 %: what of a promise its holder may use. adjtimex may slew a clock by 10 %,
/// two clocks therefore drift apart by 20 % at most.
[[nodiscard]] constexpr Duration usable(Duration promise) {
    return promise * 4 / 5;
}

/// Why a frame was not used. Named and counted; `hamr status` shows the counts.
enum class DropReason : std::uint8_t {
    malformed,      ///< short, long, of another version, or nonsense inside
    wrong_cluster,  ///< of another cluster
    unknown_node,   ///< the sender is not in the configuration (or is this very node)
    bad_signature,  ///< no key of ours made it
    replayed,       ///< heard before, or of an earlier boot
};
inline constexpr int drop_reasons = 5;

[[nodiscard]] std::string_view to_string(DropReason reason);
[[nodiscard]] std::string_view to_string(Mode mode);

}  // namespace hamr::election
