// SPDX-License-Identifier: GPL-2.0-or-later
#include "election/archive.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace hamr {
namespace {

template <class T>
std::optional<T> loaded(std::vector<std::byte> bytes) {
    Loader loader(bytes);
    T value{};
    loader(value);
    if (!loader.at_end()) return std::nullopt;
    return value;
}

std::vector<std::byte> number(std::uint64_t value) {
    ByteWriter out;
    out.write(value);
    return out.take();
}

enum class Small : std::uint8_t { one = 1 };

TEST(Archive, numbers_come_back_as_they_were) {
    EXPECT_EQ(loaded<std::int32_t>(number(static_cast<std::uint64_t>(-5))), -5);
    EXPECT_EQ(loaded<std::uint8_t>(number(255)), 255);
    EXPECT_EQ(loaded<Small>(number(1)), Small::one);
    EXPECT_EQ(loaded<bool>({std::byte{1}}), true);
}

TEST(Archive, a_number_that_does_not_fit_is_refused) {
    EXPECT_FALSE(loaded<std::int32_t>(number(std::uint64_t{1} << 31)));
    EXPECT_FALSE(loaded<std::uint8_t>(number(256)));
    EXPECT_FALSE(loaded<std::uint32_t>(number(static_cast<std::uint64_t>(-5))));
    EXPECT_FALSE(loaded<Small>(number(257)));
}

TEST(Archive, a_truth_is_0_or_1) {
    EXPECT_FALSE(loaded<bool>({std::byte{2}}));
    EXPECT_FALSE(loaded<std::optional<bool>>({std::byte{3}, std::byte{1}}));
}

}  // namespace
}  // namespace hamr
