// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <system_error>
#include <utility>

#include <tl/expected.hpp>

// Result<T>: what can fail at run time returns one. Broken invariants assert instead, and only
// agent/config throws (it collects many problems and unwinds once).

namespace hamr {

/// One error, ready to be shown: what failed, where, and if it is known what to do about it.
struct Error {
    std::string what;
    /// The errno or library code behind it; default-constructed (no error) when there is none.
    std::error_code code{};

    /// "what: code's message", or just "what".
    [[nodiscard]] std::string message() const { return code ? what + ": " + code.message() : what; }
};

template <class T = void>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::string what) {
    return tl::unexpected<Error>(Error{std::move(what), {}});
}

/// For a failed system call: `fail_errno("bind 192.0.2.1:8112", errno)`.
[[nodiscard]] inline tl::unexpected<Error> fail_errno(std::string what, int error) {
    return tl::unexpected<Error>(
        Error{std::move(what), std::error_code(error, std::system_category())});
}

}  // namespace hamr
