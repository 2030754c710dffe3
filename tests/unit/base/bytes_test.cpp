// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/bytes.hpp"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace hamr {
namespace {

TEST(Bytes, AreBigEndian) {
    ByteWriter writer;
    writer.write(std::uint16_t{0x0102});
    writer.write(std::uint32_t{0x03040506});
    const std::vector<std::byte> expected{std::byte{1}, std::byte{2}, std::byte{3},
                                          std::byte{4}, std::byte{5}, std::byte{6}};
    EXPECT_EQ(writer.take(), expected);
}

TEST(Bytes, ReadPastTheEndYieldsZeroAndIsRemembered) {
    const std::vector<std::byte> raw{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
    ByteReader reader(raw);
    EXPECT_EQ(reader.read<std::uint16_t>(), 0xffff);
    EXPECT_EQ(reader.read<std::uint16_t>(), 0);
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.read<std::uint8_t>(), 0);
    EXPECT_EQ(reader.left(), 0U);
    EXPECT_FALSE(reader.at_end());
}

TEST(Bytes, WhatIsWrittenIsRead) {
    EXPECT_TRUE(rc::check([](std::uint8_t a, std::uint16_t b, std::uint32_t c, std::uint64_t d) {
        ByteWriter writer;
        writer.write(a);
        writer.write(b);
        writer.write(c);
        writer.write(d);
        const std::vector<std::byte> raw = writer.take();
        ByteReader reader(raw);
        RC_ASSERT(reader.read<std::uint8_t>() == a);
        RC_ASSERT(reader.read<std::uint16_t>() == b);
        RC_ASSERT(reader.read<std::uint32_t>() == c);
        RC_ASSERT(reader.read<std::uint64_t>() == d);
        RC_ASSERT(reader.at_end());
    }));
}

}  // namespace
}  // namespace hamr
