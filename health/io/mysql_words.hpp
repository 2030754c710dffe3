// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/mysql/failure.hpp"
#include "base/mysql/greeting.hpp"
#include "health/probe.hpp"

#include <string>

// What a login that nobody expected to succeed proves, in words. No I/O.

namespace hamr::health_io {

/// What has come of the login at `where` ("127.0.0.1:6446"), which must be over.
[[nodiscard]] health::ProbeResult judge(const mysql::AnonymousLogin& login,
                                        const std::string& where);

/// What a login stuck in `stage` waits for: "127.0.0.1:6446 accepted and never greeted".
[[nodiscard]] std::string stuck(const mysql::AnonymousLogin& login, const std::string& where);

/// Why a session with a real user failed.
[[nodiscard]] std::string why_failed(const mysql::Failure& failure, const std::string& where);

}  // namespace hamr::health_io
