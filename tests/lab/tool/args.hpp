// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// The options of one labtool command: `--name value` pairs and bare `--flag`s. Reading an option
// marks it as known; what was never read is refused by unknown(). A bad value ends the program with
// exit code 2: this is a tool for scripts, whose mistakes should be loud.

namespace labtool {

class Args {
  public:
    /// `flags` are the options that take no value.
    Args(int argc, char** argv, std::set<std::string> flags);

    [[nodiscard]] bool has(std::string_view name);
    [[nodiscard]] std::optional<std::string> find(std::string_view name);
    [[nodiscard]] std::string text(std::string_view name, std::string_view fallback);
    [[nodiscard]] std::string required(std::string_view name);
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback);
    [[nodiscard]] hamr::IpAddress address(std::string_view name);
    [[nodiscard]] hamr::Endpoint endpoint(std::string_view name);
    /// Every value of an option that may be repeated.
    [[nodiscard]] std::vector<std::string> all(std::string_view name);
    /// Exits with code 2 when an option was given that the command never asked for.
    void refuse_unknown() const;

  private:
    struct Option {
        std::string name;
        std::string value;
        bool used = false;
    };
    std::vector<Option> options_;
};

[[noreturn]] void usage_error(const std::string& what);

}  // namespace labtool
