// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/history.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <fstream>
#include <string>

#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

control::HistoryEntry entry(std::uint64_t term, std::string to = "leader") {
    control::HistoryEntry entry;
    entry.time = *control::parse_time("2026-11-20T06:00:00.123Z");
    entry.node = "router1";
    entry.group = "default";
    entry.from = "candidate";
    entry.to = std::move(to);
    entry.reason = "takeover: router2 silent for 30 ms";
    entry.term = term;
    return entry;
}

std::size_t lines(const std::string& path) {
    std::ifstream file(path);
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
}

TEST(History, OutlivesTheAgent) {
    const test::TempDir dir;
    const std::string path = dir.path("history.jsonl");
    {
        History history(path);
        EXPECT_THAT(history.all(), IsEmpty());
        history.add(entry(1));
        history.add(entry(2, "follower"));
        EXPECT_EQ(history.failure(), "");
    }
    History history(path);
    const std::vector<control::HistoryEntry> expected{entry(1), entry(2, "follower")};
    EXPECT_EQ(history.all(), expected);
    history.add(entry(3));
    EXPECT_THAT(History(path).all(), SizeIs(3));
}

TEST(History, SkipsWhatItCannotRead) {
    const test::TempDir dir;
    const std::string path = dir.path("history.jsonl");
    History(path).add(entry(1));
    std::ofstream(path, std::ios::app) << "half a li\n\n[{\"time\":7}]\n";
    History history(path);
    EXPECT_THAT(history.all(), SizeIs(1));
    EXPECT_EQ(lines(path), 1U) << "the rest is gone from the file, too";
}

TEST(History, KeepsTheNewestAndBoundsTheFile) {
    const test::TempDir dir;
    const std::string path = dir.path("history.jsonl");
    History history(path);
    const std::size_t all = 2 * History::most + 10;
    for (std::size_t term = 1; term <= all; ++term) history.add(entry(term));
    ASSERT_THAT(history.all(), SizeIs(History::most));
    EXPECT_EQ(history.all().back().term, all);
    EXPECT_EQ(history.all().front().term, all - History::most + 1);
    EXPECT_LE(lines(path), 2 * History::most);
    EXPECT_EQ(History(path).all(), history.all());
}

TEST(History, StagesGoToTheNewestLeadershipOfTheNode) {
    const test::TempDir dir;
    History history(dir.path("history.jsonl"));
    history.add(entry(1));
    history.add(entry(2));
    auto other = entry(3);
    other.node = "router2";
    history.add(other);
    history.add(entry(4, "follower"));
    history.add_stages("router1", "default", "announced", 0.5);
    history.add_stages("router1", "no-such-group", "announced", 0.5);
    const auto all = history.all();
    EXPECT_THAT(all[0].stages_ms, IsEmpty());
    ASSERT_THAT(all[1].stages_ms, SizeIs(1));
    EXPECT_EQ(all[1].stages_ms[0].first, "announced");
    EXPECT_THAT(all[2].stages_ms, IsEmpty());
    EXPECT_THAT(all[3].stages_ms, IsEmpty());
}

TEST(History, StagesOutliveTheAgentAndDoubleNothing) {
    const test::TempDir dir;
    const std::string path = dir.path("history.jsonl");
    std::vector<control::HistoryEntry> before;
    {
        History history(path);
        history.add(entry(1));
        history.add(entry(2));
        history.add_stages("router1", "default", "elected", 0.25);
        history.add(entry(3, "follower"));
        history.add_stages("router1", "default", "announced", 0.5);
        before = history.all();
        ASSERT_THAT(before[1].stages_ms, SizeIs(2));
    }
    EXPECT_EQ(History(path).all(), before);
    EXPECT_EQ(lines(path), 3U);
}

TEST(History, SaysWhyTheFileCannotBeWrittenAndGoesOn) {
    const test::TempDir dir;
    History history(dir.path("no-such-directory/history.jsonl"));
    history.add(entry(1));
    EXPECT_THAT(history.all(), SizeIs(1));
    EXPECT_THAT(history.failure(), testing::HasSubstr("no-such-directory"));
    EXPECT_THAT(history.failure(), testing::HasSubstr("No such file"));
}

}  // namespace
}  // namespace hamr::daemon
