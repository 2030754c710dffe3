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
    void note(std::vector<std::string> names) const {
        EXPECT_TRUE(note_members(file_, std::move(names)).has_value());
    }
    [[nodiscard]] bool noted(std::vector<std::string> names) const {
        return members_noted(file_, std::move(names));
    }

    test::TempDir dir_;
    std::string file_ = dir_.path("state/c.a.members");
};

TEST_F(MembersNoteTest, M6_without_a_note_nobody_knows_who_voted) {
    EXPECT_FALSE(noted({"a", "b"}));
    EXPECT_FALSE(noted({"a", "b"})) << "a look alone notes nothing";
    note({"a", "b"});
    EXPECT_TRUE(noted({"a", "b"}));
}

TEST_F(MembersNoteTest, one_voter_more_or_less_is_another_list_their_order_is_not) {
    note({"a", "b", "c"});
    EXPECT_TRUE(noted({"c", "a", "b"}));
    EXPECT_FALSE(noted({"a", "b"}));
    EXPECT_FALSE(noted({"ab", "c"}));
    note({"a", "b"});
    EXPECT_FALSE(noted({"a", "b", "c"}));
}

TEST_F(MembersNoteTest, M6_a_note_that_has_been_forgotten_says_nothing) {
    note({"a", "b"});
    EXPECT_TRUE(forget_members(file_).has_value());
    EXPECT_FALSE(noted({"a", "b"}));
    EXPECT_TRUE(forget_members(file_).has_value()) << "there is nothing to forget";
}

TEST_F(MembersNoteTest, one_that_cannot_be_forgotten_is_told) {
    std::filesystem::create_directories(file_ + "/in.the.way");
    const auto gone = forget_members(file_);
    ASSERT_FALSE(gone.has_value());
    EXPECT_NE(gone.error().message().find(".members"), std::string::npos);
}

TEST_F(MembersNoteTest, a_damaged_note_says_nothing) {
    note({"a", "b", "c"});
    std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 2);
    EXPECT_FALSE(noted({"a", "b", "c"}));
}

TEST_F(MembersNoteTest, one_that_cannot_be_written_is_told_and_gone) {
    note({"a", "b"});
    std::filesystem::create_directory(file_ + ".new");  // in the way, also for root
    const auto kept = note_members(file_, {"a", "b", "c"});
    ASSERT_FALSE(kept.has_value());
    EXPECT_NE(kept.error().message().find(".members"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(file_)) << "an older list would be believed";
}

}  // namespace

}  // namespace hamr::daemon
