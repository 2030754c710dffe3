// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

// Bounded reading and writing of big-endian (network order) bytes. Both sides never throw and never
// touch memory outside: a read past the end yields zeroes and makes ok() false for good, so that a
// decoder reads straight on and asks once.

namespace hamr {

using Bytes = std::span<const std::byte>;

class ByteReader {
  public:
    explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

    template <std::unsigned_integral T>
    T read() {
        T value = 0;
        const Bytes raw = take(sizeof(T));
        for (const std::byte b : raw) {
            value = static_cast<T>((static_cast<std::uint64_t>(value) << 8) |
                                   std::to_integer<std::uint64_t>(b));
        }
        return value;
    }

    /// The next `count` bytes, or an empty span (and ok() false) when there are fewer.
    Bytes take(std::size_t count) {
        if (count > bytes_.size()) {
            ok_ = false;
            bytes_ = {};
            return {};
        }
        const Bytes head = bytes_.first(count);
        bytes_ = bytes_.subspan(count);
        return head;
    }

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] std::size_t left() const { return bytes_.size(); }
    [[nodiscard]] bool at_end() const { return ok_ && bytes_.empty(); }

  private:
    Bytes bytes_;
    bool ok_ = true;
};

class ByteWriter {
  public:
    ByteWriter() = default;
    /// Writes into `reuse`'s memory; its contents are dropped.
    explicit ByteWriter(std::vector<std::byte>&& reuse) : bytes_(std::move(reuse)) {
        bytes_.clear();
    }

    template <std::unsigned_integral T>
    void write(T value) {
        std::array<std::byte, sizeof(T)> raw;
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            const std::size_t shift = 8 * (sizeof(T) - 1 - i);
            raw[i] = static_cast<std::byte>((static_cast<std::uint64_t>(value) >> shift) & 0xff);
        }
        write(Bytes(raw));
    }

    void write(Bytes raw) { bytes_.insert(bytes_.end(), raw.begin(), raw.end()); }

    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] Bytes view() const { return bytes_; }
    [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    std::vector<std::byte> bytes_;
};

}  // namespace hamr
