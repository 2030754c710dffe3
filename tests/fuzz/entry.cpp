// SPDX-License-Identifier: GPL-2.0-or-later
// What libFuzzer calls: one program for each target, HAMR_FUZZ_TARGET.
#include "tests/fuzz/target.hpp"

#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hamr::fuzz::execute(hamr::fuzz::HAMR_FUZZ_TARGET, std::as_bytes(std::span(data, size)));
    return 0;
}
