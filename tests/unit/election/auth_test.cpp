// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/auth.hpp"

#include "base/prng.hpp"
#include "tests/unit/election/frame_gen.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

// Rules A1 to A5 of docs/protocol.md.

namespace hamr::election {

namespace {

using testing::example_frame;
using testing::largest_frame;

Key make_key(std::string id, unsigned fill) {
    Key key{std::move(id), {}};
    key.bytes.fill(static_cast<std::byte>(fill));
    return key;
}

Keyring keys_a() {
    return Keyring({make_key("a", 0xaa)});
}

DropReason why(const Keyring& keys, Bytes datagram, ClusterId cluster) {
    const auto frame = keys.open(datagram, cluster);
    EXPECT_FALSE(frame.has_value());
    return frame ? DropReason::unknown_node : frame.error();
}

DropReason why(const Keyring& keys, Bytes datagram) {
    return why(keys, datagram, example_frame().cluster);
}

RC_GTEST_PROP(Auth, A1_what_is_sealed_opens, ()) {
    const Frame frame = *testing::frame();
    const Keyring keys = keys_a();
    RC_ASSERT(keys.open(keys.seal(frame), frame.cluster) == frame);
}

// The tag of the example in docs/protocol.md, computed with another implementation of BLAKE2b.
TEST(Auth, A2_golden_tag) {
    const auto datagram = keys_a().seal(example_frame());
    std::string tag;
    for (const std::byte b : Bytes(datagram).last(tag_bytes)) {
        char text[3];
        std::snprintf(text, sizeof(text), "%02x", std::to_integer<unsigned>(b));
        tag += text;
    }
    EXPECT_EQ(tag, "ea2f9e1177a53c35134c8d118e5c57ae");
}

TEST(Auth, A2_each_use_has_its_own_key) {
    const Key key = make_key("a", 0xaa);
    const auto frames = derive_key(key, KeyUse::frames);
    EXPECT_NE(frames, derive_key(key, KeyUse::flows));
    EXPECT_NE(frames, key.bytes);
    const Keyring keys({{"a", frames}});
    EXPECT_EQ(why(keys, keys_a().seal(example_frame())), DropReason::bad_signature);
}

TEST(Auth, A3_the_first_key_signs_and_all_verify) {
    const Key a = make_key("a", 0xaa);
    const Key b = make_key("b", 0xbb);
    const Frame frame = example_frame();
    const Keyring only_a({a});
    const Keyring only_b({b});
    const Keyring a_then_b({a, b});
    const Keyring b_then_a({b, a});
    EXPECT_EQ(a_then_b.seal(frame), only_a.seal(frame));
    EXPECT_EQ(b_then_a.seal(frame), only_b.seal(frame));
    for (const Keyring* signer : {&only_a, &only_b, &a_then_b, &b_then_a}) {
        EXPECT_EQ(a_then_b.open(signer->seal(frame), frame.cluster), frame);
        EXPECT_EQ(b_then_a.open(signer->seal(frame), frame.cluster), frame);
    }
    EXPECT_EQ(why(only_b, a_then_b.seal(frame)), DropReason::bad_signature);
}

TEST(Auth, A3_two_keys_of_one_name_both_verify) {
    const Key old_key = make_key("main", 1);
    const Key new_key = make_key("main", 2);
    const Frame frame = example_frame();
    const Keyring both({new_key, old_key});
    EXPECT_EQ(both.open(Keyring({old_key}).seal(frame), frame.cluster), frame);
    EXPECT_EQ(both.open(Keyring({new_key}).seal(frame), frame.cluster), frame);
    EXPECT_EQ(why(both, Keyring({make_key("main", 3)}).seal(frame)), DropReason::bad_signature);
}

TEST(Auth, A3_the_right_key_under_another_name_is_not_found) {
    EXPECT_EQ(why(keys_a(), Keyring({make_key("other", 0xaa)}).seal(example_frame())),
              DropReason::bad_signature);
}

TEST(Auth, A4_another_cluster_is_told_from_a_wrong_key) {
    Frame frame = example_frame();
    const ClusterId ours = frame.cluster;
    frame.cluster = ClusterId{ours.value + 1};
    EXPECT_EQ(why(keys_a(), keys_a().seal(frame), ours), DropReason::wrong_cluster);
    EXPECT_EQ(why(keys_a(), Keyring({make_key("b", 1)}).seal(frame), ours),
              DropReason::wrong_cluster);
}

TEST(Auth, A4_every_truncation_and_extension_is_malformed) {
    auto datagram = keys_a().seal(example_frame());
    for (std::size_t length = 0; length < datagram.size(); ++length) {
        EXPECT_EQ(why(keys_a(), Bytes(datagram).first(length)), DropReason::malformed) << length;
    }
    datagram.push_back({});
    EXPECT_EQ(why(keys_a(), datagram), DropReason::malformed);
    EXPECT_EQ(why(keys_a(), std::vector<std::byte>(max_datagram_bytes + 1)), DropReason::malformed);
}

TEST(Auth, A4_every_flipped_bit_is_dropped_with_its_reason) {
    const Keyring keys = keys_a();
    auto datagram = keys.seal(example_frame());
    for (std::size_t bit = 0; bit < datagram.size() * 8; ++bit) {
        const std::size_t at = bit / 8;
        const auto mask = static_cast<std::byte>(1U << (bit % 8));
        datagram[at] ^= mask;
        const DropReason expected = at < 8                ? DropReason::malformed
                                    : at < 12 || at >= 20 ? DropReason::bad_signature
                                                          : DropReason::wrong_cluster;
        EXPECT_EQ(why(keys, datagram), expected) << "bit " << bit;
        datagram[at] ^= mask;
    }
    EXPECT_EQ(keys.open(datagram, example_frame().cluster), example_frame());
}

// A tag moved from one frame to another, of the same key.
TEST(Auth, A1_the_tag_is_over_everything) {
    const Keyring keys = keys_a();
    Frame frame = example_frame();
    const auto first = keys.seal(frame);
    ++frame.sequence.value;
    auto second = keys.seal(frame);
    std::copy(first.end() - tag_bytes, first.end(), second.end() - tag_bytes);
    EXPECT_EQ(why(keys, second), DropReason::bad_signature);
}

TEST(Auth, A5_the_largest_frame_seals_into_one_buffer) {
    const Keyring keys = keys_a();
    std::vector<std::byte> buffer;
    buffer.reserve(max_datagram_bytes);
    const std::byte* memory = buffer.data();
    keys.seal_into(largest_frame(), buffer);
    EXPECT_EQ(buffer.size(), max_datagram_bytes);
    EXPECT_EQ(keys.open(buffer, largest_frame().cluster), largest_frame());
    keys.seal_into(example_frame(), buffer);
    EXPECT_EQ(buffer.data(), memory);
    EXPECT_EQ(buffer, keys.seal(example_frame()));
}

TEST(Auth, A4_random_bytes_never_open) {
    const Keyring keys = keys_a();
    Prng random(4);
    const auto good = keys.seal(example_frame());
    for (int round = 0; round < 100'000; ++round) {
        std::vector<std::byte> bytes(random.below(300));
        for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
        const bool dressed = round % 2 == 0 && bytes.size() >= min_frame_bytes + tag_bytes;
        if (dressed) {
            std::copy_n(good.begin(), header_bytes, bytes.begin());
            const std::size_t length = bytes.size() - tag_bytes;
            bytes[6] = static_cast<std::byte>(length >> 8);
            bytes[7] = static_cast<std::byte>(length & 0xff);
        }
        EXPECT_EQ(why(keys, bytes), dressed ? DropReason::bad_signature : DropReason::malformed);
    }
}

}  // namespace

}  // namespace hamr::election
