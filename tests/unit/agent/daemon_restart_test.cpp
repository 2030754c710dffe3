// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/restart.hpp"

#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace hamr::daemon {
namespace {

using namespace std::chrono_literals;

// Rule U4.
TEST(Restart, fits_into_a_lease_only_with_a_margin) {
    struct Row {
        const char* name;
        RestartTimes times;
        bool fits;
    };
    const Row rows[] = {
        {"defaults", {30ms, 240ms, 100ms}, true},
        {"as long as the default lease allows", {89ms, 240ms, 100ms}, true},
        {"a little longer", {90ms, 240ms, 100ms}, false},
        {"a fast cluster", {20ms, 24ms, 10ms}, false},
        {"three seconds", {500ms, 2400ms, 1s}, true},
    };
    for (const Row& row : rows) EXPECT_EQ(fits(row.times), row.fits) << row.name;
}

TEST(Restart, a_rehearsal_is_understood_and_knows_which_lives_go_on) {
    const auto same = parse_rehearsal(rehearsed_line("0"));
    ASSERT_TRUE(same);
    EXPECT_TRUE(same->fits);
    EXPECT_GT(same->took, 1s);  // since the host's boot
    const auto other = parse_rehearsal("rehearsed 12000000 9.9.9\n");
    ASSERT_TRUE(other);
    EXPECT_FALSE(other->fits);
    EXPECT_EQ(other->took, 12ms);
    for (const char* nonsense : {"", "hamrd 0.1.0", "rehearsed", "rehearsed x 1.1.1",
                                 "rehearsed -5 1.1.1", "rehearsed 5"}) {
        EXPECT_FALSE(parse_rehearsal(nonsense)) << nonsense;
    }
}

TEST(Restart, what_was_not_left_by_this_process_is_not_inherited) {
    EXPECT_FALSE(inherit_life());
    ::setenv("HAMR_LIFE_FD", "nonsense", 1);
    EXPECT_FALSE(inherit_life());
    const int fd = ::memfd_create("life", MFD_CLOEXEC);
    ASSERT_GE(fd, 3);
    ASSERT_EQ(::write(fd, "damaged", 7), 7);
    const int look = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    ::setenv("HAMR_LIFE_FD", std::to_string(fd).c_str(), 1);
    EXPECT_FALSE(inherit_life());
    EXPECT_EQ(std::getenv("HAMR_LIFE_FD"), nullptr);
    EXPECT_EQ(::lseek(look, 0, SEEK_END), 0) << "it has been read, so it is empty";
    ::close(look);
}

TEST(Restart, a_program_that_cannot_be_executed_leaves_everything_as_it_was) {
    Life life;
    life.at = BootClock::now();
    life.lock = ::memfd_create("lock", MFD_CLOEXEC);
    const int careless = ::memfd_create("careless", 0);
    const Error error = execute("/nonexistent/hamrd", {"hamrd"}, &life);
    EXPECT_NE(error.message().find("/nonexistent/hamrd"), std::string::npos);
    EXPECT_EQ(::fcntl(life.lock, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(::fcntl(careless, F_GETFD), FD_CLOEXEC) << "nothing goes over by accident";
    EXPECT_EQ(::fcntl(STDERR_FILENO, F_GETFD), 0);
    ::close(life.lock);
    ::close(careless);
    const auto self = next_program();
    ASSERT_TRUE(self);
    EXPECT_EQ(::access(self->c_str(), X_OK), 0);
}

}  // namespace
}  // namespace hamr::daemon
