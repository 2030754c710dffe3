// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/options.hpp"

#include <string>
#include <vector>

#include <getopt.h>
#include <gmock/gmock.h>

namespace hamr::daemon {
namespace {

using testing::HasSubstr;

struct Parsed {
    ParsedOptions result;
    std::string out;
    std::string err;
};

Parsed parse(std::vector<std::string> words) {
    words.insert(words.begin(), "hamrd");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    optind = 0;  // glibc: from the beginning
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Parsed parsed;
    parsed.result = parse_options(static_cast<int>(words.size()), argv.data());
    std::fflush(stdout);
    parsed.out = testing::internal::GetCapturedStdout();
    parsed.err = testing::internal::GetCapturedStderr();
    return parsed;
}

TEST(Options, Defaults) {
    const Parsed parsed = parse({});
    EXPECT_FALSE(parsed.result.done);
    EXPECT_EQ(parsed.result.options.config, "/etc/hamr/hamr.yaml");
    EXPECT_EQ(parsed.result.options.socket, "/run/hamr/hamrd.sock");
    EXPECT_EQ(parsed.result.options.node, std::nullopt);
    EXPECT_FALSE(parsed.result.options.cleanup);
}

TEST(Options, All) {
    const Parsed parsed =
        parse({"--config=/a.yaml", "--node", "router2", "--socket", "/run/s", "--cleanup"});
    EXPECT_FALSE(parsed.result.done);
    EXPECT_EQ(parsed.result.options.config, "/a.yaml");
    EXPECT_EQ(parsed.result.options.node, "router2");
    EXPECT_EQ(parsed.result.options.socket, "/run/s");
    EXPECT_TRUE(parsed.result.options.cleanup);
}

TEST(Options, ASocketAlwaysHasADirectory) {
    EXPECT_EQ(parse({"--socket", "s"}).result.options.socket, "./s");
}

TEST(Options, HelpAndVersionEndWell) {
    const Parsed help = parse({"--help"});
    EXPECT_TRUE(help.result.done);
    EXPECT_EQ(help.result.code, 0);
    for (const char* word : {"--config", "--node", "--socket", "--cleanup", "--version", "71",
                             "/etc/hamr/hamr.yaml", "/run/hamr/hamrd.sock", "hamrd(8)"}) {
        EXPECT_THAT(help.out, HasSubstr(word));
    }
    const Parsed version = parse({"--version"});
    EXPECT_EQ(version.result.code, 0);
    EXPECT_THAT(version.out, testing::StartsWith("hamrd "));
}

struct Bad {
    const char* name;
    std::vector<std::string> words;
    const char* said;
};

class BadOptions : public testing::TestWithParam<Bad> {};

TEST_P(BadOptions, AreAUsageErrorThatNamesThem) {
    const Parsed parsed = parse(GetParam().words);
    EXPECT_TRUE(parsed.result.done);
    EXPECT_EQ(parsed.result.code, 2);
    EXPECT_EQ(parsed.out, "");
    EXPECT_EQ(parsed.err, std::string("hamrd: ") + GetParam().said + "; try `hamrd --help`\n");
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadOptions,
    testing::Values(Bad{"unknown", {"--nod", "x", "--foo"}, "unknown option --foo"},
                    Bad{"unknown_short", {"-q"}, "unknown option -q"},
                    Bad{"value_missing", {"--node"}, "a value is missing after --node"},
                    Bad{"value_too_many", {"--cleanup=yes"}, "unknown option --cleanup=yes"},
                    Bad{"operand", {"start"}, "unexpected argument \"start\""}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hamr::daemon
