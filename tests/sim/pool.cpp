// SPDX-License-Identifier: GPL-2.0-or-later
// Memory for the soak: one thread, small pieces, millions of them a second. Sizes in steps of 16
// bytes, each with a list of free pieces in blocks of its own; what is larger goes to malloc.
// Linked into `sim` only where it is built for speed: sanitizers want to see every allocation.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t step = 16;
constexpr std::size_t largest = 1024;
constexpr std::size_t block_bytes = 64 * 1024;
constexpr std::size_t blocks = 16 * 1024;  // 1 GiB of addresses; memory comes when it is touched

struct Free {
    Free* next;
};

struct Pool {
    std::array<Free*, largest / step + 1> lists{};
    std::array<std::uint8_t, blocks> size_of{};  ///< in steps, by block
    std::byte* base = nullptr;
    std::size_t used = 0;

    void* take(std::size_t steps) {
        Free*& list = lists[steps];
        if (list == nullptr && !refill(steps)) return nullptr;
        Free* piece = list;
        list = piece->next;
        return piece;
    }

    bool refill(std::size_t steps) {
        if (base == nullptr) {
            base = static_cast<std::byte*>(std::malloc(blocks * block_bytes));
            if (base == nullptr) return false;
        }
        if (used == blocks) return false;
        std::byte* block = base + used * block_bytes;
        size_of[used++] = static_cast<std::uint8_t>(steps);
        const std::size_t bytes = steps * step;
        for (std::size_t at = 0; at + bytes <= block_bytes; at += bytes) {
            lists[steps] = new (block + at) Free{lists[steps]};
        }
        return true;
    }

    /// Whether it was one of these pieces.
    bool give(void* memory) {
        const auto at = static_cast<std::size_t>(static_cast<std::byte*>(memory) - base);
        if (base == nullptr || at >= blocks * block_bytes) return false;
        Free*& list = lists[size_of[at / block_bytes]];
        list = new (memory) Free{list};
        return true;
    }
};

constinit Pool pool;

}  // namespace

void* operator new(std::size_t bytes) {
    void* memory = nullptr;
    if (bytes <= largest) memory = pool.take(bytes == 0 ? 1 : (bytes + step - 1) / step);
    if (memory == nullptr) memory = std::malloc(bytes);
    if (memory == nullptr) std::abort();
    return memory;
}

void operator delete(void* memory) noexcept {
    if (memory != nullptr && !pool.give(memory)) std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    operator delete(memory);
}
