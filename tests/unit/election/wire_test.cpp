// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/wire.hpp"

#include "base/prng.hpp"
#include "tests/unit/election/frame_gen.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

// Rules W of docs/protocol.md.

namespace hamr::election {

namespace {

using std::chrono::milliseconds;
using testing::example_frame;
using testing::largest_frame;

std::string to_hex(Bytes bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte b : bytes) {
        text += digits[std::to_integer<unsigned>(b) >> 4];
        text += digits[std::to_integer<unsigned>(b) & 15];
    }
    return text;
}

bool malformed(Bytes bytes) {
    const auto frame = decode(bytes);
    return !frame && frame.error() == DropReason::malformed;
}

RC_GTEST_PROP(Wire, W1_every_valid_frame_survives_the_round_trip, ()) {
    const Frame frame = *testing::frame();
    RC_ASSERT(valid(frame));
    const auto bytes = encode(frame, KeyId{77});
    const auto again = decode(bytes);
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == frame);
    RC_ASSERT(read_header(bytes) == (Header{KeyId{77}, frame.cluster}));
}

// What decode() accepts has one way to be written: a changed byte gives another frame or none.
RC_GTEST_PROP(Wire, W1_there_is_one_way_to_write_a_frame, ()) {
    auto bytes = encode(*testing::frame());
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    bytes[at] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
    const auto frame = decode(bytes);
    if (!frame) return;
    const auto header = read_header(bytes);
    RC_ASSERT(encode(*frame, header->key) == bytes);
}

// The example of docs/protocol.md: a change of these bytes is a new version of the protocol.
TEST(Wire, W2_golden_bytes) {
    // clang-format off
    const std::string expected =
        "48414d52" "01" "00" "00af" "00000000" "1122334455667788"         // header
        "0000000a" "0102030405060708" "00000000000003e8"                  // node
        "19" "01" "03" "03" "05f5e100" "00000005" "00000002" "01" "00" "0001"
        "0000000a" "0000000b" "0000000c"                                  // voters
        "0000000b" "2122232425262728" "000000000000004d" "00000001"       // echo
        "00000020" "07" "0000000000000004" "0000000000000004"             // group
        "0000000a" "0000000000000004" "00000000" "0000000000000002" "00000000"
        "00000007" "00000020" "0000000c" "0000000b" "01"                  // ask
        "0000000b" "00000009" "04" "00000000";                            // answer
    // clang-format on
    EXPECT_EQ(to_hex(encode(example_frame())), expected);
}

TEST(Wire, W3_the_largest_frame_fits) {
    const Frame frame = largest_frame();
    const auto bytes = encode(frame);
    EXPECT_EQ(bytes.size(), max_frame_bytes);
    EXPECT_EQ(decode(bytes), frame);
}

TEST(Wire, W3_encode_uses_memory_again) {
    std::vector<std::byte> buffer;
    encode_into(largest_frame(), {}, buffer);
    const std::byte* memory = buffer.data();
    encode_into(example_frame(), {}, buffer);
    EXPECT_EQ(buffer.data(), memory);
    EXPECT_EQ(buffer, encode(example_frame()));
}

TEST(Wire, W3_every_truncation_is_malformed) {
    const auto bytes = encode(example_frame());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_TRUE(malformed(Bytes(bytes).first(length))) << length;
    }
}

TEST(Wire, W3_a_body_shorter_or_longer_than_its_counts_is_malformed) {
    for (const int change : {-40, -1, 1, 49}) {
        auto bytes = encode(example_frame());
        const auto size = static_cast<std::size_t>(static_cast<int>(bytes.size()) + change);
        bytes.resize(size);
        bytes[6] = static_cast<std::byte>(size >> 8);
        bytes[7] = static_cast<std::byte>(size & 0xff);
        EXPECT_TRUE(malformed(bytes)) << change;
    }
}

struct BadByte {
    std::string_view what;
    std::size_t at;
    unsigned value;
};

// Offsets are those of the tables in docs/protocol.md, in the example frame.
constexpr std::size_t at_group = 20 + 40 + 12 + 24;
constexpr std::size_t at_ask = at_group + 49;
constexpr std::size_t at_answer = at_ask + 17;
constexpr BadByte bad_bytes[] = {
    {"W4 magic", 0, 0x49},
    {"W4 version 0", 4, 0},
    {"W4 version 2", 4, 2},
    {"W5 reserved byte of the header", 5, 1},
    {"W3 length", 7, 0xb0},
    {"W5 reserved node flag", 40, 0x39},
    {"W5 reserved node flag, the top one", 40, 0x99},
    {"W7 mode", 41, 2},
    {"W8 misses 1", 42, 1},
    {"W8 misses 21", 42, 21},
    {"W3 more voters than bytes", 43, 4},
    {"W3 fewer voters than bytes", 43, 2},
    {"W3 voters above the limit", 43, 17},
    {"W8 interval too long", 44, 0x3c},
    {"W3 echoes above the limit", 56, 49},
    {"W5 reserved byte of the node", 57, 1},
    {"W3 groups above the limit", 58, 2},
    {"W9 first voter 0", 63, 0},
    {"W9 voters equal", 67, 10},
    {"W9 voters descending", 71, 1},
    {"W10 echo of no node", 75, 0},
    {"W10 echo of no sequence", 91, 0},
    {"W11 group 0", at_group + 3, 0},
    {"W5 reserved group flag", at_group + 4, 0x17},
    {"W11 claim none with a term", at_group + 4, 0x04},
    {"W11 leader without a term", at_group + 12, 0},
    {"W11 promise to nobody with a term", at_group + 24, 0},
    {"W11 promise without a term", at_group + 32, 0},
    {"W11 term 2^48", at_group + 6, 1},
    {"W11 seen 2^48", at_group + 14, 1},
    {"W11 promised term 2^48", at_group + 26, 1},
    {"W11 released 2^63", at_group + 37, 0x80},
    {"W5 reserved ask flag", at_ask + 16, 3},
    {"W7 result of an ask", at_answer + 8, 11},
};

TEST(Wire, bad_bytes_are_malformed) {
    const auto good = encode(example_frame());
    for (const BadByte& row : bad_bytes) {
        auto bytes = good;
        ASSERT_NE(bytes[row.at], static_cast<std::byte>(row.value)) << row.what;
        bytes[row.at] = static_cast<std::byte>(row.value);
        EXPECT_TRUE(malformed(bytes)) << row.what;
    }
}

struct BadFrame {
    std::string_view what;
    std::function<void(Frame&)> spoil;
};

TEST(Wire, bad_frames_are_not_valid) {
    const BadFrame rows[] = {
        {"W6 sender 0", [](Frame& f) { f.sender = no_node; }},
        {"W6 boot 0", [](Frame& f) { f.boot = {}; }},
        {"W6 sequence 0", [](Frame& f) { f.sequence = {}; }},
        {"W7 mode", [](Frame& f) { f.mode = static_cast<Mode>(2); }},
        {"W7 claim", [](Frame& f) { f.groups[0].claim = static_cast<Claim>(4); }},
        {"W7 result", [](Frame& f) { f.answer->result = static_cast<AskResult>(11); }},
        {"W8 interval below 2 ms", [](Frame& f) { f.timing.interval = Duration{1'999'999}; }},
        {"W8 interval above 1 s",
         [](Frame& f) {
             f.timing = {milliseconds{1001}, 2};
         }},
        {"W8 lease above 3 s",
         [](Frame& f) {
             f.timing = {milliseconds{151}, 20};
         }},
        {"W9 no voters", [](Frame& f) { f.voters.clear(); }},
        {"W9 17 voters",
         [](Frame& f) {
             f.voters = largest_frame().voters;
             f.voters.push_back(NodeId{17});
         }},
        {"W10 49 echoes",
         [](Frame& f) {
             f.echoes = largest_frame().echoes;
             f.echoes.push_back({NodeId{90}, BootId{90}, Sequence{1}, {}});
         }},
        {"W10 echo of boot 0", [](Frame& f) { f.echoes[0].boot = {}; }},
        {"W10 one boot echoed twice",
         [](Frame& f) {
             f.echoes.push_back({NodeId{12}, BootId{3}, Sequence{1}, {}});
             f.echoes.push_back(f.echoes[0]);
         }},
        {"W11 257 groups",
         [](Frame& f) {
             f.groups = largest_frame().groups;
             f.groups.emplace_back().group = GroupId{5000};
         }},
        {"W11 one group twice",
         [](Frame& f) {
             f.groups.emplace_back().group = GroupId{3};
             f.groups.push_back(f.groups[0]);
         }},
    };
    for (const BadFrame& row : rows) {
        Frame frame = example_frame();
        ASSERT_TRUE(valid(frame));
        row.spoil(frame);
        EXPECT_FALSE(valid(frame)) << row.what;
        EXPECT_DEATH((void)encode(frame), "valid") << row.what;
    }
}

TEST(Wire, W8_the_limits_themselves_are_valid) {
    for (const Timing timing : {Timing{milliseconds{2}, 2}, Timing{milliseconds{1000}, 3},
                                Timing{milliseconds{150}, 20}, Timing{milliseconds{2}, 20}}) {
        Frame frame = example_frame();
        frame.timing = timing;
        EXPECT_EQ(decode(encode(frame)), frame);
    }
}

TEST(Wire, W10_two_boots_of_one_node_may_be_echoed) {
    Frame frame = example_frame();
    frame.echoes.push_back(frame.echoes[0]);
    frame.echoes[1].boot = BootId{9};
    EXPECT_EQ(decode(encode(frame)), frame);
}

// Random bytes, half of them behind a header that is right, so that they get past it.
TEST(Wire, random_bytes_never_do_harm) {
    Prng random(20261120);
    for (int round = 0; round < 100'000; ++round) {
        std::vector<std::byte> bytes(random.below(400));
        for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
        if (round % 2 == 0 && bytes.size() >= min_frame_bytes) {
            const auto good = encode(example_frame());
            std::copy_n(good.begin(), header_bytes + (round % 4 == 0 ? 0 : node_bytes),
                        bytes.begin());
            bytes[6] = static_cast<std::byte>(bytes.size() >> 8);
            bytes[7] = static_cast<std::byte>(bytes.size() & 0xff);
        }
        const auto frame = decode(bytes);
        if (frame) {
            EXPECT_TRUE(valid(*frame));
        } else {
            EXPECT_EQ(frame.error(), DropReason::malformed);
        }
    }
}

}  // namespace

}  // namespace hamr::election
