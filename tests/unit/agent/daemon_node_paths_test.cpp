// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/node_paths.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::SizeIs;

constexpr Duration patience = seconds{1};
const BootTime now{seconds{1000}};

Endpoint at(const std::string& address) {
    return {*IpAddress::parse(address), 8112};
}

const election::NodeId router2 = election::node_id("router2");
const std::vector<election_io::Arrival> two_ways{
    {router2, at("192.0.2.11"), at("192.0.2.12"), election_io::path_index(0, 0)},
    {election::node_id("witness1"), at("192.0.2.11"), at("192.0.2.13"),
     election_io::path_index(0, 0)},
    {router2, at("198.51.100.11"), at("198.51.100.12"), election_io::path_index(1, 1)},
};

/// Alive, and heard so long ago on each of its two paths.
election::NodeStatus peer(std::optional<Duration> first, std::optional<Duration> second) {
    election::NodeStatus node;
    node.name = "router2";
    node.heard = node.alive = true;
    node.heard_on.fill(long_ago);
    if (first) node.heard_on[election_io::path_index(0, 0)] = now - *first;
    if (second) node.heard_on[election_io::path_index(1, 1)] = now - *second;
    node.paths_since = now - seconds{100};
    return node;
}

TEST(NodePaths, EachPathOfThePeerIsShownWithItsAge) {
    const auto paths = paths_of(peer(milliseconds{12}, std::nullopt), two_ways, now);
    ASSERT_THAT(paths, SizeIs(2));
    EXPECT_EQ(paths[0], (control::PathStatus{"192.0.2.11", "192.0.2.12", 12.0}));
    EXPECT_EQ(paths[1], (control::PathStatus{"198.51.100.11", "198.51.100.12", std::nullopt}));
}

TEST(NodePaths, AllHeardIsNoWarning) {
    EXPECT_FALSE(lost_paths(peer(milliseconds{12}, milliseconds{999}), two_ways, now, patience));
}

TEST(NodePaths, OneThatFellSilentIsNamedWithBothItsEnds) {
    const auto lost = lost_paths(peer(milliseconds{12}, seconds{3}), two_ways, now, patience);
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->what,
              "router2 is heard over 1 of 2 paths (198.51.100.12 to 198.51.100.11 silent for 3 s)");
    EXPECT_THAT(lost->remedy, HasSubstr("cable"));
}

TEST(NodePaths, OneThatWasNeverHeardIsNamedOnceThereWasTime) {
    election::NodeStatus node = peer(milliseconds{12}, std::nullopt);
    const auto lost = lost_paths(node, two_ways, now, patience);
    ASSERT_TRUE(lost);
    EXPECT_THAT(lost->what, HasSubstr("(198.51.100.12 to 198.51.100.11 never heard)"));
    node.paths_since = now - milliseconds{500};
    EXPECT_FALSE(lost_paths(node, two_ways, now, patience));
}

TEST(NodePaths, APeerThatIsSilentAltogetherIsToldElsewhere) {
    election::NodeStatus node = peer(seconds{3}, seconds{4});
    EXPECT_FALSE(lost_paths(node, two_ways, now, patience)) << "nothing to compare with";
    node = peer(milliseconds{1}, seconds{4});
    node.alive = false;
    EXPECT_FALSE(lost_paths(node, two_ways, now, patience));
}

TEST(NodePaths, OneTranslatedPathIsNoLostPath) {
    const std::vector<election_io::Arrival> one{two_ways[0]};
    EXPECT_FALSE(lost_paths(peer(std::nullopt, std::nullopt), one, now, patience));
}

}  // namespace
}  // namespace hamr::daemon
