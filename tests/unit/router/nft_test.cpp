// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/nft.hpp"

#include "router/ruleset.hpp"
#include "tests/unit/router/lab_net.hpp"
#include "tests/unit/router/sample_ruleset.hpp"

#include <array>
#include <fstream>
#include <optional>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hamr::router_io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class NftTest : public testing::Test {
  protected:
    void SetUp() override {
        HAMR_LAB_NEEDS_ROOT();
        ns_.emplace();
        ASSERT_TRUE(*ns_);
    }

    Result<> load(Nft& nft, const std::string& text) {
        return ns_->in([&] {
            std::optional<Result<>> result;
            nft.apply(text, [&](Result<> got) { result = std::move(got); });
            EXPECT_FALSE(result) << "no callback from inside the call";
            EXPECT_TRUE(lab::run_until(io_, [&] { return result.has_value(); }));
            return result.value_or(fail("never ended"));
        });
    }

    std::optional<lab::Namespace> ns_;
    boost::asio::io_context io_;
};

TEST_F(NftTest, the_kernel_takes_the_whole_table_again_and_again) {
    const std::string text = router::render(router::sample_ruleset()).text;
    Nft nft(io_.get_executor());
    for (int round = 0; round < 2; ++round) {
        const auto loaded = load(nft, text);
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(ns_->sh("nft list table inet hamr >/dev/null"), 0);
    }
    EXPECT_EQ(ns_->sh("nft list table inet hamr | nft -c -f -"), 0)
        << "what nft prints, nft can read";
    EXPECT_EQ(ns_->sh("test $(nft list tables | wc -l) = 1"), 0);
}

TEST_F(NftTest, removal_works_with_and_without_a_table) {
    Nft nft(io_.get_executor());
    ASSERT_TRUE(load(nft, router::render(router::sample_ruleset()).text));
    ASSERT_TRUE(load(nft, router::render_removal()));
    ASSERT_TRUE(load(nft, router::render_removal()));
    ns_->in([&] {
        EXPECT_TRUE(apply_blocking(router::render(router::sample_ruleset()).text));
        EXPECT_TRUE(remove_blocking());
        EXPECT_TRUE(remove_blocking());
    });
    EXPECT_NE(ns_->sh("nft list table inet hamr 2>/dev/null"), 0);
}

TEST_F(NftTest, what_nft_says_is_in_the_error_and_the_old_table_stays) {
    Nft nft(io_.get_executor());
    ASSERT_TRUE(load(nft, router::render(router::sample_ruleset()).text));
    const auto loaded = load(nft, "delete table inet hamr\nadd rubbish\n");
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr("syntax error"));
    EXPECT_EQ(ns_->sh("nft list table inet hamr >/dev/null"), 0);
}

TEST_F(NftTest, the_newest_waiting_text_wins) {
    Nft nft(io_.get_executor());
    std::vector<int> ended;
    ns_->in([&] {
        const auto note = [&](int which) {
            return [&ended, which](const Result<>& result) {
                EXPECT_TRUE(result) << result.error().message();
                ended.push_back(which);
            };
        };
        nft.apply("add table inet first\n", note(1));
        nft.apply("add rubbish\n", note(2));
        nft.apply("add table inet third\n", note(3));
        EXPECT_TRUE(lab::run_until(io_, [&] { return ended.size() == 3; }));
    });
    EXPECT_THAT(ended, ElementsAre(1, 2, 3)) << "the skipped one hears the newer one's result";
    EXPECT_EQ(
        ns_->sh("nft list table inet first >/dev/null && nft list table inet third >/dev/null"), 0);
    EXPECT_FALSE(nft.busy());
}

// Asio recycles what it knows of a descriptor: what was still to be told of a closed one is told of
// the next. Here the first of two ready pipes closes the other, and nft's end gets its event.
TEST(Nft, an_event_that_was_meant_for_another_descriptor_is_no_end) {
    boost::asio::io_context io;
    const lab::TemporaryFolder folder;
    const std::string program = folder.path() + "/nft";
    std::ofstream(program) << "#!/bin/sh\nexec sleep 0.1\n";
    ::chmod(program.c_str(), 0755);
    Nft nft(io.get_executor(), {program, std::chrono::seconds(5)});
    std::optional<Result<>> result;
    using Descriptor = boost::asio::posix::stream_descriptor;
    std::array<Descriptor, 2> ready{Descriptor(io), Descriptor(io)};
    for (std::size_t own = 0; own < ready.size(); ++own) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe(ends.data()), 0);
        ASSERT_EQ(::close(ends[1]), 0);
        ready[own].assign(ends[0]);
        ready[own].async_wait(Descriptor::wait_read, [&, own](boost::system::error_code error) {
            if (error) return;
            ready[1 - own].close();
            nft.apply("", [&](Result<> got) { result = std::move(got); });
        });
    }
    ASSERT_TRUE(lab::run_until(io, [&] { return result.has_value(); }));
    EXPECT_TRUE(*result) << result->error().message();
}

TEST_F(NftTest, a_missing_program_names_the_package) {
    Nft nft(io_.get_executor(), {"no-such-nft", std::chrono::seconds(1)});
    const auto loaded = load(nft, "");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message(),
              "no-such-nft is not installed: install the package nftables");
}

TEST_F(NftTest, what_is_missing_is_named) {
    const lab::TemporaryFolder folder;
    const std::string program = folder.path() + "/nft";
    const auto says = [&](const std::string& words) {
        std::ofstream(program) << "#!/bin/sh\necho '" << words << "' >&2\nexit 1\n";
        ::chmod(program.c_str(), 0755);
        return apply_blocking("", {program, std::chrono::seconds(5)}).error();
    };
    EXPECT_EQ(says("Operation not permitted (you must be root)").code,
              std::errc::operation_not_permitted);
    const Error lacking =
        says("netlink: Error: cache initialization failed: Protocol not supported");
    EXPECT_EQ(lacking.code, std::errc::not_supported);
    EXPECT_THAT(lacking.message(), HasSubstr("this kernel lacks nftables"));
}

TEST_F(NftTest, a_child_that_hangs_is_killed) {
    const lab::TemporaryFolder folder;
    const std::string program = folder.path() + "/nft";
    std::ofstream(program) << "#!/bin/sh\nexec sleep 60\n";
    ::chmod(program.c_str(), 0755);
    const NftOptions options{program, std::chrono::milliseconds(50)};
    Nft nft(io_.get_executor(), options);
    const auto loaded = load(nft, "");
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr("killed"));
    EXPECT_THAT(apply_blocking("", options).error().message(), HasSubstr("killed"));
}

}  // namespace
}  // namespace hamr::router_io
