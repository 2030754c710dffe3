// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/config/error.hpp"
#include "agent/config/tree.hpp"
#include "base/net/address.hpp"
#include "health/probe.hpp"

#include <optional>
#include <string>
#include <string_view>

// What an http check asks, and how a check is called after what it asks.

namespace hamr::config {

struct Url {
    Endpoint target;
    std::string host;  ///< as written, for the Host header
    std::string path = "/";
};

/// http://IP[:PORT][/path]: numeric, no account in it, no TLS.
std::optional<Url> read_url(Report& report, const Value& value, std::string_view path);

/// What a check asks, in a few words: "127.0.0.1:6446", "haproxy", "check_load".
[[nodiscard]] std::string subject_of(const health::ProbeSpec& probe);

}  // namespace hamr::config
