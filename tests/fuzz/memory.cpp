// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#include <sanitizer/allocator_interface.h>
#define HAMR_FUZZ_HOOKS
#else
#include <malloc.h>
#endif

namespace {

long alive = 0;
long peak = 0;

void allocated(std::size_t size) {
    alive += static_cast<long>(size);
    peak = std::max(peak, alive);
}

void freed(std::size_t size) {
    alive -= static_cast<long>(size);
}

}  // namespace

#ifdef HAMR_FUZZ_HOOKS

namespace {

void on_malloc(const volatile void* /*memory*/, std::size_t size) {
    allocated(size);
}

void on_free(const volatile void* memory) {
    if (memory == nullptr) return;
    freed(__sanitizer_get_allocated_size(const_cast<const void*>(memory)));
}

[[maybe_unused]] const int installed =
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);

}  // namespace

#else

void* operator new(std::size_t size) {
    void* const memory = std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    allocated(::malloc_usable_size(memory));
    return memory;
}

void operator delete(void* memory) noexcept {
    freed(::malloc_usable_size(memory));
    std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/) noexcept {
    operator delete(memory);
}

#endif

namespace hamr::fuzz {

Memory::Memory() : before_(alive) {
    peak = alive;
}

std::size_t Memory::most() const {
    return static_cast<std::size_t>(std::max(peak - before_, 0L));
}

}  // namespace hamr::fuzz
