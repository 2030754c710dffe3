// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/keys.hpp"

#include "tests/unit/agent/temp_dir.hpp"

#include <string>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

const std::string base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";  // bytes 0 to 31

template <class F>
std::string error_of(F&& f) {
    try {
        f();
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

std::string problems_of(const std::string& text) {
    return error_of([&] { parse_keys(text, "f"); });
}

TEST(Keys, SeveralLinesCommentsAndBlanks) {
    const auto keys = parse_keys("# ours\n\nnew " + base64 + "\r\n  old\t" + base64, "f");
    ASSERT_EQ(keys.size(), 2U);
    EXPECT_EQ(keys[0].id, "new");
    EXPECT_EQ(keys[1].id, "old");
    for (std::size_t i = 0; i < 32; ++i) {
        EXPECT_EQ(std::to_integer<std::size_t>(keys[0].bytes[i]), i);
    }
}

TEST(Keys, WhatIsMadeIsUnderstoodAndNew) {
    const Key key = generate_key();
    EXPECT_THAT(to_line(key), MatchesRegex("k[0-9a-f]{8} [A-Za-z0-9+/]{43}="));
    EXPECT_EQ(parse_keys(to_line(key) + "\n", "f"), std::vector<Key>{key});
    EXPECT_FALSE(generate_key() == key);
}

TEST(Keys, BadLinesAreNamed) {
    EXPECT_EQ(problems_of(""), "f: has no key; make one with: hamr keygen > f");
    EXPECT_EQ(problems_of("\n" + base64),
              "f:2:1: a key line must be KEYID BASE64; `hamr keygen` makes one");
    EXPECT_EQ(problems_of("a " + base64 + " b"),
              "f:1:1: a key line must be KEYID BASE64; `hamr keygen` makes one");
    EXPECT_EQ(problems_of("a/b " + base64),
              "f:1:1: a KEYID must be 1 to 16 of A-Z a-z 0-9 - _; `hamr keygen` makes one");
    EXPECT_EQ(problems_of("seventeen-letters " + base64),
              "f:1:1: a KEYID must be 1 to 16 of A-Z a-z 0-9 - _; `hamr keygen` makes one");
    EXPECT_EQ(problems_of("a " + base64 + "\na " + base64),
              "f:2:1: KEYID a is given twice; remove one of the lines");
    const std::string wrong =
        "f:1:4: the key of a is not 32 bytes in base64; `hamr keygen` makes one";
    for (const std::string& bad : {base64.substr(0, 40), base64.substr(0, 43), base64 + "AAAA",
                                   "AAEC*" + base64.substr(5), std::string(5000, 'A')}) {
        EXPECT_EQ(problems_of("a  " + bad), wrong) << bad;
    }
    std::string many;
    for (int i = 0; i < 17; ++i) many += "k" + std::to_string(i) + " " + base64 + "\n";
    EXPECT_EQ(problems_of(many), "f:17:1: more than 16 keys; remove old ones");
}

TEST(Keys, NoErrorShowsKeyMaterial) {
    EXPECT_THAT(problems_of(base64), Not(HasSubstr("AAEC")));
    EXPECT_THAT(problems_of("a " + base64.substr(0, 40)), Not(HasSubstr("AAEC")));
}

TEST(KeyFile, MustBeThereAndClosedToOthers) {
    const test::TempDir dir;
    const std::string file = dir.write("key", "a " + base64 + "\n", 0600);
    EXPECT_EQ(load_keys(file).size(), 1U);
    EXPECT_EQ(load_keys(dir.write("key400", "a " + base64 + "\n", 0400)).size(), 1U);

    for (const mode_t mode : {0640U, 0604U, 0660U, 0620U}) {
        const std::string open = dir.write("open", "a " + base64 + "\n", mode);
        EXPECT_EQ(
            error_of([&] { load_keys(open); }),
            open + ": can be read or changed by others than its owner; run: chmod 600 " + open);
    }
    EXPECT_EQ(error_of([&] { load_keys(dir.path("none")); }),
              dir.path("none") + ": cannot be read: No such file or directory");
    EXPECT_EQ(error_of([&] { load_keys("/dev/null"); }), "/dev/null: is not a regular file");
    const std::string big = dir.write("big", std::string(70'000, '#'));
    EXPECT_EQ(error_of([&] { load_keys(big); }), big + ": is larger than 64 KiB");
}

TEST(PasswordFile, IsItsFirstLine) {
    const test::TempDir dir;
    EXPECT_EQ(load_password(dir.write("p", "pass word \nrest\n")), "pass word ");
    EXPECT_EQ(load_password(dir.write("p", "x")), "x");
    const std::string empty = dir.write("e", "\nx\n");
    EXPECT_EQ(error_of([&] { load_password(empty); }),
              empty + ": has no password in its first line; write it there");
    const std::string open = dir.write("o", "x", 0644);
    EXPECT_THAT(error_of([&] { load_password(open); }), HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace hamr::config
