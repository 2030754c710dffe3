// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "election/frame.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <rapidcheck.h>

// Frames for tests: one that is written down, and any that is valid(). The small groups of limits
// that rules W7 to W11 name are drawn more often than chance would.

namespace hamr::election::testing {

template <class Id>
rc::Gen<Id> any_id() {
    using T = decltype(Id::value);
    return rc::gen::map(rc::gen::arbitrary<T>(), [](T value) { return Id{value}; });
}

/// Never 0.
template <class Id>
rc::Gen<Id> real_id() {
    using T = decltype(Id::value);
    const auto number = rc::gen::oneOf(rc::gen::inRange<T>(1, 8),
                                       rc::gen::inRange<T>(1, std::numeric_limits<T>::max()));
    return rc::gen::map(number, [](T value) { return Id{value}; });
}

/// Up to the last one (W11), 0 included.
inline rc::Gen<Term> any_term() {
    const auto number = rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 8),
                                       rc::gen::inRange<std::uint64_t>(0, last_term.value + 1));
    return rc::gen::map(number, [](std::uint64_t value) { return Term{value}; });
}
/// Never 0.
inline rc::Gen<Term> real_term() {
    return rc::gen::map(any_term(),
                        [](Term term) { return Term{std::max(term.value, std::uint64_t{1})}; });
}

inline rc::Gen<Timing> timing() {
    const auto drawn = rc::gen::pair(rc::gen::inRange<std::int64_t>(2'000'000, 1'000'000'001),
                                     rc::gen::inRange(2, 21));
    return rc::gen::map(drawn, [](std::pair<std::int64_t, int> value) {
        const auto longest = std::int64_t{longest_lease.count()} / value.second;
        return Timing{Duration{std::min(value.first, longest)}, value.second};
    });
}

/// Up to `most` items, none with the key of another.
template <class T, class Key>
rc::Gen<std::vector<T>> different(std::size_t most, rc::Gen<T> item, Key key) {
    return rc::gen::map(
        rc::gen::container<std::vector<T>>(std::move(item)), [most, key](std::vector<T> items) {
            std::vector<T> kept;
            for (T& candidate : items) {
                const bool again = std::any_of(kept.begin(), kept.end(), [&](const T& other) {
                    return key(other) == key(candidate);
                });
                if (!again && kept.size() < most) kept.push_back(std::move(candidate));
            }
            return kept;
        });
}

inline rc::Gen<std::vector<NodeId>> voters() {
    return rc::gen::map(
        rc::gen::pair(real_id<NodeId>(), different(max_nodes - 1, real_id<NodeId>(),
                                                   [](NodeId node) { return node.value; })),
        [](std::pair<NodeId, std::vector<NodeId>> drawn) {
            std::vector<NodeId> all = std::move(drawn.second);
            if (std::find(all.begin(), all.end(), drawn.first) == all.end()) {
                all.push_back(drawn.first);
            }
            std::sort(all.begin(), all.end());
            return all;
        });
}

inline rc::Gen<Echo> echo() {
    return rc::gen::build<Echo>(rc::gen::set(&Echo::node, real_id<NodeId>()),
                                rc::gen::set(&Echo::boot, real_id<BootId>()),
                                rc::gen::set(&Echo::newest, real_id<Sequence>()),
                                rc::gen::set(&Echo::checked, any_id<HealthEpoch>()));
}

inline rc::Gen<GroupEntry> group_entry() {
    const auto drawn = rc::gen::build<GroupEntry>(
        rc::gen::set(&GroupEntry::group, real_id<GroupId>()),
        rc::gen::set(&GroupEntry::claim,
                     rc::gen::element(Claim::none, Claim::asking, Claim::candidate, Claim::leader)),
        rc::gen::set(&GroupEntry::term, real_term()), rc::gen::set(&GroupEntry::seen, any_term()),
        rc::gen::set(&GroupEntry::promised_to, any_id<NodeId>()),
        rc::gen::set(&GroupEntry::promised_term, real_term()),
        rc::gen::set(&GroupEntry::supports, any_id<NodeId>()),
        rc::gen::set(&GroupEntry::released, any_term()),
        rc::gen::set(&GroupEntry::successor, any_id<NodeId>()),
        rc::gen::set(&GroupEntry::announced), rc::gen::set(&GroupEntry::forced));
    return rc::gen::map(drawn, [](GroupEntry entry) {
        if (entry.claim == Claim::none) entry.term = {};
        if (entry.promised_to == no_node) entry.promised_term = {};
        return entry;
    });
}

inline rc::Gen<Ask> ask() {
    return rc::gen::build<Ask>(rc::gen::set(&Ask::id), rc::gen::set(&Ask::group, any_id<GroupId>()),
                               rc::gen::set(&Ask::leader, any_id<NodeId>()),
                               rc::gen::set(&Ask::target, any_id<NodeId>()),
                               rc::gen::set(&Ask::force));
}

inline rc::Gen<Answer> answer() {
    const auto result =
        rc::gen::map(rc::gen::inRange(0, static_cast<int>(AskResult::timed_out) + 1),
                     [](int value) { return static_cast<AskResult>(value); });
    return rc::gen::build<Answer>(rc::gen::set(&Answer::asker, any_id<NodeId>()),
                                  rc::gen::set(&Answer::id), rc::gen::set(&Answer::result, result),
                                  rc::gen::set(&Answer::target, any_id<NodeId>()));
}

template <class T>
rc::Gen<std::optional<T>> maybe(rc::Gen<T> inner) {
    return rc::gen::map(rc::gen::maybe(std::move(inner)), [](rc::Maybe<T> value) {
        return value ? std::optional<T>(std::move(*value)) : std::nullopt;
    });
}

inline rc::Gen<Frame> frame() {
    return rc::gen::build<Frame>(
        rc::gen::set(&Frame::cluster, any_id<ClusterId>()),
        rc::gen::set(&Frame::sender, real_id<NodeId>()),
        rc::gen::set(&Frame::boot, real_id<BootId>()),
        rc::gen::set(&Frame::sequence, real_id<Sequence>()), rc::gen::set(&Frame::wants_answer),
        rc::gen::set(&Frame::mode, rc::gen::element(Mode::none, Mode::majority)),
        rc::gen::set(&Frame::timing, timing()), rc::gen::set(&Frame::voters, voters()),
        rc::gen::set(&Frame::demotion), rc::gen::set(&Frame::epoch, any_id<HealthEpoch>()),
        rc::gen::set(&Frame::starting), rc::gen::set(&Frame::drained),
        rc::gen::set(&Frame::echoes, different(max_echoes, echo(),
                                               [](const Echo& item) {
                                                   return std::pair(item.node.value,
                                                                    item.boot.value);
                                               })),
        rc::gen::set(&Frame::groups,
                     different(max_groups, group_entry(),
                               [](const GroupEntry& item) { return item.group.value; })),
        rc::gen::set(&Frame::ask, maybe(ask())), rc::gen::set(&Frame::answer, maybe(answer())));
}

/// The frame whose bytes docs/protocol.md shows: router1 leads "default" in term 4.
inline Frame example_frame() {
    Frame example;
    example.cluster = ClusterId{0x1122334455667788};
    example.sender = NodeId{0x0000000a};
    example.boot = BootId{0x0102030405060708};
    example.sequence = Sequence{1000};
    example.wants_answer = true;
    example.mode = Mode::majority;
    example.timing = {std::chrono::milliseconds{100}, 3};
    example.voters = {NodeId{10}, NodeId{11}, NodeId{12}};
    example.demotion = 5;
    example.epoch = HealthEpoch{2};
    example.echoes = {{NodeId{11}, BootId{0x2122232425262728}, Sequence{77}, HealthEpoch{1}}};
    GroupEntry group;
    group.group = GroupId{0x20};
    group.claim = Claim::leader;
    group.term = Term{4};
    group.seen = Term{4};
    group.promised_to = NodeId{10};
    group.promised_term = Term{4};
    group.released = Term{2};
    group.announced = true;
    example.groups = {group};
    example.ask = Ask{7, GroupId{0x20}, NodeId{12}, NodeId{11}, true};
    example.answer = Answer{NodeId{11}, 9, AskResult::target_worse, NodeId{0}};
    return example;
}

/// As large as a frame can be.
inline Frame largest_frame() {
    Frame large = example_frame();
    large.voters.clear();
    for (std::uint32_t i = 1; i <= max_nodes; ++i) large.voters.push_back(NodeId{i});
    large.echoes.clear();
    for (std::uint32_t i = 1; i <= max_echoes; ++i) {
        large.echoes.push_back({NodeId{1 + i % 16}, BootId{i}, Sequence{i}, HealthEpoch{i}});
    }
    large.groups.assign(max_groups, large.groups.front());
    for (std::uint32_t i = 0; i < max_groups; ++i) large.groups[i].group = GroupId{1000 - i};
    return large;
}

}  // namespace hamr::election::testing
