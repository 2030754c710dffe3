// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/members_note.hpp"
#include "tests/unit/agent/temp_dir.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace hamr::daemon {

namespace {

class MembersNoteTest : public ::testing::Test {
  protected:
    [[nodiscard]] bool same(std::vector<std::string> names) const {
        const MembersNote note = note_members(file_, std::move(names));
        EXPECT_TRUE(note.kept.has_value());
        return note.same;
    }

    test::TempDir dir_;
    std::string file_ = dir_.path("state/c.a.members");
};

TEST_F(MembersNoteTest, a_first_life_knows_of_no_earlier_one) {
    EXPECT_FALSE(same({"a", "b"}));
    EXPECT_TRUE(same({"a", "b"}));
}

TEST_F(MembersNoteTest, one_voter_more_or_less_is_another_list_their_order_is_not) {
    EXPECT_FALSE(same({"a", "b", "c"}));
    EXPECT_TRUE(same({"c", "a", "b"}));
    EXPECT_FALSE(same({"a", "b"}));
    EXPECT_FALSE(same({"a", "b", "c"})) << "the last life counts, not the one before";
    EXPECT_FALSE(same({"ab", "c"}));
}

TEST_F(MembersNoteTest, a_damaged_note_says_nothing) {
    EXPECT_FALSE(same({"a", "b", "c"}));
    std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 2);
    EXPECT_FALSE(same({"a", "b", "c"}));
    EXPECT_TRUE(same({"a", "b", "c"}));
}

TEST_F(MembersNoteTest, one_that_cannot_be_written_is_told_and_gone) {
    EXPECT_FALSE(same({"a", "b"}));
    std::filesystem::create_directory(file_ + ".new");  // in the way, also for root
    const MembersNote note = note_members(file_, {"a", "b", "c"});
    EXPECT_FALSE(note.same);
    ASSERT_FALSE(note.kept.has_value());
    EXPECT_NE(note.kept.error().message().find(".members"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(file_)) << "an older list would be believed";
}

}  // namespace

}  // namespace hamr::daemon
